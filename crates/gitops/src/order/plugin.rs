//! The network plugin that a release installs: by the name of its chart, or Cilium as a dependency of the
//! chart.

use serde_json::Value;

use super::charts::NETWORK_PLUGINS;
use super::value::{at, is_true};
use crate::{Declared, Release};
use bootstrapper_core::object::ObjectRef;

/// The name of Cilium's chart, and of its values in a chart that depends on it.
const CILIUM: &str = "cilium";

/// Values that show that Cilium itself is installed: a chart that only integrates with Cilium (`cilium:
/// {enabled: true}`) has others.
const INSTALLS: [&str; 14] = [
    "autoDirectNodeRoutes",
    "bgpControlPlane",
    "cgroup",
    "cni",
    "hubble",
    "ipam",
    "ipv4NativeRoutingCIDR",
    "k8sServiceHost",
    "kubeProxyReplacement",
    "l2announcements",
    "loadBalancer",
    "operator",
    "routingMode",
    "tunnelProtocol",
];

/// Cilium, as installed by a release.
#[derive(Debug, Clone, Copy)]
pub struct Cilium<'a> {
    /// The HelmRelease.
    pub id: &'a ObjectRef,
    /// Its values.
    pub values: &'a Value,
    /// Its declared version; none if a chart that depends on it defines it.
    pub version: Option<&'a str>,
}

impl<'a> Cilium<'a> {
    /// The one that a release installs, if any.
    pub fn of(release: &'a Release) -> Option<Self> {
        let of = |values, version| Self { id: &release.id, values, version };
        if release.chart.name() == CILIUM {
            return Some(of(&release.values, Some(release.version())));
        }
        let values = &release.values[CILIUM];
        let installs = values.as_object()?.keys().any(|key| INSTALLS.contains(&key.as_str()));
        (installs && values["enabled"] != false).then(|| of(values, None))
    }

    /// The one that a cluster declares: preferably its own chart, not one that depends on it.
    pub fn declared(declared: &'a Declared) -> Option<Self> {
        let found = || declared.releases.iter().filter_map(Self::of);
        found().find(|cilium| cilium.version.is_some()).or_else(|| found().next())
    }

    /// Its major and minor version, if the declaration allows exactly one: `1.18.2`, `~1.18`, `1.18.x`. None
    /// for a range of several: `^1.17`, `1.17 - 1.20`, `>=1.17`.
    pub fn minor_version(&self) -> Option<(u64, u64)> {
        let text = self.version?.trim();
        let text = ["~>", "~", "="].iter().find_map(|operator| text.strip_prefix(operator)).unwrap_or(text);
        let text = text.trim().strip_prefix('v').unwrap_or(text.trim());
        if text.contains([' ', '|', ',']) {
            return None;
        }
        let mut parts = text.split('.');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }
}

/// Whether Cilium encrypts with IPsec, by its values: the default of its chart, if it encrypts.
pub fn encrypts_with_ipsec(values: &Value) -> bool {
    let kind = at(values, "encryption.type").as_str().unwrap_or_default();
    is_true(at(values, "encryption.enabled")) && matches!(kind, "" | "ipsec")
}

/// The network plugin that a release installs.
pub fn network_plugin(release: &Release) -> Option<&str> {
    let chart = release.chart.name();
    NETWORK_PLUGINS.contains(&chart).then_some(chart).or_else(|| Cilium::of(release).map(|_| CILIUM))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_several_minor_versions_is_none() {
        let id = ObjectRef::namespaced("helm.toolkit.fluxcd.io/v2", "HelmRelease", "kube-system", "cilium");
        let of = |version| Cilium { id: &id, values: &Value::Null, version: Some(version) }.minor_version();
        for one in ["1.18.2", "v1.18.2", "=1.18.2", "~1.18.0", "~>1.18", "1.18.x"] {
            assert_eq!(of(one), Some((1, 18)), "{one}");
        }
        for several in ["^1.18.0", "1.17.0 - 1.20.9", "1.17.x || 1.20.x", ">=1.18", "*", "1.x", "~1"] {
            assert_eq!(of(several), None, "{several}");
        }
    }
}
