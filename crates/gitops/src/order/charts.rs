//! The CRDs of charts: from their rendering, otherwise from a table of well-known charts: which API groups,
//! under which values, and by chart or controller.

use std::collections::BTreeSet;

use serde_json::Value;

use super::plugin::Cilium;
use crate::{Declared, Release, Rendering};
use bootstrapper_core::object::Object;

/// A chart with CRDs.
struct Chart {
    name: &'static str,
    groups: &'static [&'static str],
    /// The condition on its values.
    unless: Unless,
    /// Whether its controller installs them when it runs: they are not part of the chart.
    by_controller: bool,
    /// Whether it has a webhook that validates or mutates their objects.
    asks_webhook: bool,
}

/// The value that enables a chart's CRDs.
enum Unless {
    Always,
    /// Enabled, unless the value at this path is false.
    Off(&'static [&'static str]),
    /// Enabled, unless the value at this path is true.
    On(&'static [&'static str]),
    /// Disabled, unless one of the values at these paths is true.
    NotOn(&'static [&'static [&'static str]]),
}

/// Charts of network plugins.
pub const NETWORK_PLUGINS: [&str; 9] = [
    "antrea",
    "calico",
    "canal",
    "cilium",
    "flannel",
    "kube-ovn",
    "kube-router",
    "ovn-kubernetes",
    "tigera-operator",
];

/// The chart of cluster DNS.
pub const DNS: &str = "coredns";

/// The chart of the Flux operator.
pub const FLUX_OPERATOR: &str = "flux-operator";

/// The chart of a FluxInstance.
pub const FLUX_INSTANCE: &str = "flux-instance";

/// Charts of Flux itself.
pub const FLUX_ITSELF: [&str; 2] = ["flux2", "flux"];

/// Whether a chart must be installed before Flux works.
pub fn is_before_flux(chart: &str) -> bool {
    NETWORK_PLUGINS.contains(&chart)
        || FLUX_ITSELF.contains(&chart)
        || [DNS, FLUX_OPERATOR, FLUX_INSTANCE].contains(&chart)
}

const fn chart(name: &'static str, groups: &'static [&'static str]) -> Chart {
    Chart { name, groups, unless: Unless::Always, by_controller: false, asks_webhook: false }
}

const FLUX: &[&str] = &[
    "source.toolkit.fluxcd.io",
    "kustomize.toolkit.fluxcd.io",
    "helm.toolkit.fluxcd.io",
    "notification.toolkit.fluxcd.io",
    "image.toolkit.fluxcd.io",
];

const CHARTS: &[Chart] = &[
    Chart {
        unless: Unless::On(&["operator", "skipCRDCreation"]),
        by_controller: true,
        ..chart("cilium", &["cilium.io"])
    },
    Chart {
        unless: Unless::NotOn(&[&["crds", "enabled"], &["installCRDs"]]),
        asks_webhook: true,
        ..chart("cert-manager", &["cert-manager.io", "acme.cert-manager.io"])
    },
    Chart { unless: Unless::Off(&["crds", "enabled"]), ..chart("trust-manager", &["trust.cert-manager.io"]) },
    Chart {
        unless: Unless::Off(&["installCRDs"]),
        asks_webhook: true,
        ..chart("external-secrets", &["external-secrets.io", "generators.external-secrets.io"])
    },
    Chart {
        unless: Unless::Off(&["crds", "enabled"]),
        ..chart("rook-ceph", &["ceph.rook.io", "objectbucket.io"])
    },
    Chart {
        unless: Unless::Off(&["crds", "create"]),
        asks_webhook: true,
        ..chart("cloudnative-pg", &["postgresql.cnpg.io"])
    },
    Chart { unless: Unless::Off(&["crds", "install"]), ..chart("dragonfly-operator", &["dragonflydb.io"]) },
    chart("victoria-metrics-operator", &["operator.victoriametrics.com"]),
    chart("victoria-metrics-operator-crds", &["operator.victoriametrics.com"]),
    chart("victoria-metrics-k8s-stack", &["operator.victoriametrics.com"]),
    chart("victoria-metrics-stack", &["operator.victoriametrics.com"]),
    Chart {
        unless: Unless::Off(&["crds", "enabled"]),
        ..chart("kube-prometheus-stack", &["monitoring.coreos.com"])
    },
    chart("prometheus-operator-crds", &["monitoring.coreos.com"]),
    Chart { unless: Unless::Off(&["installCRDs"]), ..chart("flux-operator", &["fluxcd.controlplane.io"]) },
    Chart { by_controller: true, ..chart("flux-instance", FLUX) },
    chart("flux2", FLUX),
    chart("gateway-helm", &["gateway.envoyproxy.io", "gateway.networking.k8s.io"]),
    chart("traefik", &["traefik.io"]),
    chart("kyverno", &["kyverno.io"]),
    chart("gatekeeper", &["templates.gatekeeper.sh", "config.gatekeeper.sh"]),
    chart("metallb", &["metallb.io"]),
    chart("longhorn", &["longhorn.io"]),
    chart("keda", &["keda.sh"]),
    chart("argo-cd", &["argoproj.io"]),
    chart("sealed-secrets", &["bitnami.com"]),
    chart("velero", &["velero.io"]),
    chart("volsync", &["volsync.backube"]),
    chart("snapshot-controller", &["snapshot.storage.k8s.io"]),
    chart("node-feature-discovery", &["nfd.k8s-sigs.io"]),
    chart("opentelemetry-operator", &["opentelemetry.io"]),
    chart("mariadb-operator-crds", &["k8s.mariadb.com"]),
];

/// CRDs that Cilium's operator installs only if a value is true.
const OF_CILIUM: [(&str, &[&str]); 2] = [
    ("CiliumBGP", &["bgpControlPlane", "enabled"]),
    ("CiliumGatewayClassConfig", &["gatewayAPI", "enabled"]),
];

/// Whether a release provides the CRD of a kind, with its chart or its running controller.
pub(super) fn provides(declared: &Declared, release: &Release, group: &str, kind: &str) -> Option<By> {
    let known = known_to_provide(release, group, kind);
    let Some(Rendering::Takes { crds }) = declared.renderings.get(&release.id) else { return known };
    let defines = |crd: &Object| {
        let spec = &crd.data["spec"];
        spec["group"] == group && spec["names"]["kind"] == kind
    };
    // A controller's CRDs are not part of the chart, and not rendered.
    if crds.iter().any(defines) { Some(By::Chart) } else { known.filter(|by| *by == By::Controller) }
}

/// The differences between the table and the renderings: a sentence each.
pub fn charts_known_otherwise(declared: &Declared) -> Vec<String> {
    let mut described = Vec::new();
    for release in &declared.releases {
        let Some(Rendering::Takes { crds }) = declared.renderings.get(&release.id) else { continue };
        let name = release.chart.name();
        let groups: BTreeSet<&str> =
            crds.iter().filter_map(|crd| crd.data["spec"]["group"].as_str()).collect();
        let chart = of(release);
        let known = |group: &str| chart.is_some_and(|chart| chart.groups.contains(&group));
        described.extend(
            groups.iter().filter(|group| !known(group)).map(|group| format!("{name} also provides {group}")),
        );
        let is_said_to =
            chart.is_some_and(|chart| !chart.by_controller && chart.unless.lets(values_of(release)));
        if is_said_to && groups.is_empty() {
            described.push(format!("{name} provides nothing"));
        }
        let is_said_not_to = chart.is_some_and(|chart| !chart.unless.lets(values_of(release)));
        if is_said_not_to && !groups.is_empty() {
            described.push(format!("{name} provides CRDs with these values"));
        }
    }
    described
}

/// What the table says about a release.
fn known_to_provide(release: &Release, group: &str, kind: &str) -> Option<By> {
    let chart = of(release)?;
    let values = values_of(release);
    let is_off = |(prefix, path): &(&str, &[&str])| kind.starts_with(prefix) && at(values, path) != true;
    let is_excluded = group == "cilium.io" && OF_CILIUM.iter().any(is_off);
    let is_brought = chart.groups.contains(&group) && !is_excluded && chart.unless.lets(values);
    is_brought.then_some(if chart.by_controller { By::Controller } else { By::Chart })
}

/// The provider of a release's CRDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// The chart itself.
    Chart,
    /// Its controller, once it runs.
    Controller,
}

/// Whether a webhook of the release intercepts objects of this group.
pub fn has_webhook_for(release: &Release, group: &str) -> bool {
    of(release).is_some_and(|chart| chart.asks_webhook && chart.groups.contains(&group))
}

fn of(release: &Release) -> Option<&'static Chart> {
    let name = if Cilium::of(release).is_some() { "cilium" } else { release.chart.name() };
    CHARTS.iter().find(|chart| chart.name == name)
}

/// The values that its entry in the table refers to.
fn values_of(release: &Release) -> &Value {
    Cilium::of(release).map_or(&release.values, |cilium| cilium.values)
}

impl Unless {
    fn lets(&self, values: &Value) -> bool {
        match self {
            Self::Always => true,
            Self::Off(path) => at(values, path) != false,
            Self::On(path) => at(values, path) != true,
            Self::NotOn(paths) => paths.iter().any(|path| at(values, path) == true),
        }
    }
}

fn at<'a>(values: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(values, |value, name| &value[*name])
}
