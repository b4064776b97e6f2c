//! Pairs of values that Cilium's chart or its programs refuse, or do not heed.
//!
//! From `templates/validate.yaml` and `templates/cilium-configmap.yaml` of the chart, and the checks of the agent at
//! its start (`daemon/cmd/daemon.go`, `daemon_main.go`, `pkg/kpr/initializer`, `pkg/egressgateway`) of Cilium 1.20.2.

mod ignored;
mod refused;

use serde_json::Value;

use crate::{Finding, Fleet, Rule, Severity, known};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_gitops::order::{at, encrypts_with_ipsec, is_true};
use bootstrapper_gitops::{Declared, ProblemKind};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "cilium-values-refused",
        severity: Severity::Error,
        summary: "values of Cilium that its chart or its agents refuse",
        why: "the chart fails to render, or the agents exit at their start (CrashLoopBackOff): the cluster has no network",
        fix: "change one of the values that the finding names",
        check: |rule, fleet| checked(rule, fleet, refused::ALL),
    },
    Rule {
        name: "cilium-values-ignored",
        severity: Severity::Warning,
        summary: "a value of Cilium without effect",
        why: "another value turns off what it belongs to; at most a line in a log says so",
        fix: "change the other value, or remove this one",
        check: |rule, fleet| checked(rule, fleet, ignored::ALL),
    },
];

/// Values of Cilium, with the defaults of the chart in mind.
struct Values<'a>(&'a Value);

impl<'a> Values<'a> {
    fn get(&self, path: &str) -> &'a Value {
        at(self.0, path)
    }

    fn on(&self, path: &str) -> bool {
        is_true(self.get(path))
    }

    /// Set to false; what is not set has its default.
    fn off(&self, path: &str) -> bool {
        let value = self.get(path);
        *value == false || value == "false"
    }

    fn text(&self, path: &str) -> &'a str {
        self.get(path).as_str().unwrap_or_default()
    }

    fn is_set(&self, path: &str) -> bool {
        match self.get(path) {
            Value::Null | Value::Bool(false) => false,
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(fields) => !fields.is_empty(),
            Value::Bool(true) | Value::Number(_) => true,
        }
    }

    fn number(&self, path: &str) -> Option<u64> {
        let value = self.get(path);
        value.as_u64().or_else(|| value.as_str()?.parse().ok())
    }

    /// Whether a cloud's own mode sets the rest.
    fn is_of_cloud(&self) -> bool {
        ["eni.enabled", "gke.enabled", "aksbyocni.enabled", "azure.enabled", "alibabacloud.enabled"]
            .iter()
            .any(|path| self.on(path))
            || matches!(self.text("ipam.mode"), "eni" | "azure" | "alibabacloud" | "delegated-plugin")
    }

    fn is_native(&self) -> bool {
        self.text("routingMode") == "native"
    }

    fn is_tunnel(&self) -> bool {
        !self.is_native() && !self.is_of_cloud()
    }

    fn masquerades(&self) -> bool {
        !(self.off("enableIPv4Masquerade") || self.off("ipv4.enabled"))
            || (self.on("ipv6.enabled") && !self.off("enableIPv6Masquerade"))
    }

    fn replaces_proxy(&self) -> bool {
        let value = self.get("kubeProxyReplacement");
        is_true(value) || value == "strict" || value == "partial"
    }

    fn is_ipsec(&self) -> bool {
        encrypts_with_ipsec(self.0)
    }

    fn is_dsr(&self) -> bool {
        matches!(self.text("loadBalancer.mode"), "dsr" | "hybrid")
    }
}

/// A minor version of Cilium.
type Minor = (u64, u64);

struct Check {
    /// The value that is reported.
    field: &'static str,
    what: &'static str,
    /// The first Cilium that has this check; of an unknown one, only those are made that all have.
    since: Minor,
    applies: fn(&Values<'_>) -> bool,
}

/// What every supported Cilium checks.
const ALWAYS: Minor = (0, 0);

fn checked(rule: &Rule, fleet: &Fleet, checks: &[Check]) -> Vec<Finding> {
    fleet.each(|declared| {
        let Some(cilium) = known::cilium(declared).filter(|cilium| !is_garbled(declared, cilium.id)) else {
            return Vec::new();
        };
        let minor = cilium.minor_version();
        let values = Values(cilium.values);
        let is_known =
            |check: &&Check| check.since == ALWAYS || minor.is_some_and(|minor| minor >= check.since);
        let found = checks.iter().filter(is_known).filter(|check| (check.applies)(&values));
        found
            .map(|check| {
                let version =
                    cilium.version.map(|version| format!(" (Cilium {version})")).unwrap_or_default();
                let place = declared.place(cilium.id, &format!("spec.values.{}", check.field));
                Finding::of(rule, format!("{}: {}{version}", cilium.id, check.what))
                    .in_cluster(&declared.cluster)
                    .about(cilium.id)
                    .at(place)
            })
            .collect()
    })
}

/// Whether a substitution made something else of the release, which is reported.
fn is_garbled(declared: &Declared, id: &ObjectRef) -> bool {
    let name = id.to_string();
    let mut problems = declared.problems.iter();
    problems.any(|one| one.kind == ProblemKind::NotAnObject && one.failure.what.contains(&name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(checks: &'static [Check], values: &Value) -> Vec<&'static str> {
        checks.iter().filter(|check| (check.applies)(&Values(values))).map(|check| check.field).collect()
    }

    #[test]
    fn no_check_is_made_twice() {
        let mut all: Vec<_> = refused::ALL.iter().chain(ignored::ALL).map(|check| check.what).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn what_cilium_refuses() {
        let table = [
            (json!({}), vec![]),
            (json!({"routingMode": "native"}), vec!["routingMode"]),
            (json!({"routingMode": "native", "ipv4NativeRoutingCIDR": "10.42.0.0/16"}), vec![]),
            (json!({"routingMode": "native", "enableIPv4Masquerade": false}), vec![]),
            (json!({"routingMode": "native", "eni": {"enabled": true}}), vec![]),
            (json!({"autoDirectNodeRoutes": true}), vec!["autoDirectNodeRoutes"]),
            (
                json!({"autoDirectNodeRoutes": "true", "routingMode": "native", "ipv4NativeRoutingCIDR": "10.0.0.0/8"}),
                vec![],
            ),
            (json!({"directRoutingSkipUnreachable": true}), vec!["directRoutingSkipUnreachable"]),
            (json!({"cluster": {"id": 1}}), vec!["cluster.name"]),
            (json!({"cluster": {"id": "1", "name": "a"}}), vec![]),
            (json!({"cluster": {"name": "A_b"}}), vec!["cluster.name"]),
            (json!({"cluster": {"name": "-a"}}), vec!["cluster.name"]),
            (json!({"hubble": {"ui": {"enabled": true}}}), vec!["hubble.ui.enabled"]),
            (json!({"hubble": {"ui": {"enabled": true}, "relay": {"enabled": true}}}), vec![]),
            (json!({"egressGateway": {"enabled": true}}), vec!["egressGateway.enabled"]),
            (json!({"egressGateway": {"enabled": true}, "bpf": {"masquerade": true}}), vec![]),
            (
                json!({"kubeProxyReplacement": true, "loadBalancer": {"mode": "dsr"}}),
                vec!["loadBalancer.mode"],
            ),
            (
                json!({"kubeProxyReplacement": true, "tunnelProtocol": "geneve", "loadBalancer": {"mode": "dsr", "dsrDispatch": "geneve"}}),
                vec![],
            ),
            (
                json!({"encryption": {"enabled": true, "type": "wireguard"}, "hostFirewall": {"enabled": true}}),
                vec![],
            ),
            (json!({"tunnel": "vxlan"}), vec!["tunnel"]),
            (
                json!({"routingMode": "native", "ipv4NativeRoutingCIDR": "10.0.0.0/8", "ipv6": {"enabled": true}}),
                vec!["routingMode"],
            ),
            (
                json!({"kubeProxyReplacement": true, "bpf": {"datapathMode": "netkit", "masquerade": true}}),
                vec![],
            ),
            (
                json!({"kubeProxyReplacement": true, "bpf": {"datapathMode": "netkit"}}),
                vec!["bpf.datapathMode"],
            ),
            (json!({"enableIPv4BIGTCP": true, "encryption": {"enabled": true, "type": "wireguard"}}), vec![]),
            (json!({"enableIPv4BIGTCP": true, "encryption": {"enabled": true}}), vec!["enableIPv4BIGTCP"]),
            (json!({"tunnel": ""}), vec![]),
        ];
        for (values, expected) in table {
            assert_eq!(fields(refused::ALL, &values), expected, "{values}");
        }
    }

    #[test]
    fn what_cilium_does_not_heed() {
        let table = [
            (json!({}), vec![]),
            (json!({"loadBalancer": {"algorithm": "maglev"}}), vec!["loadBalancer"]),
            (json!({"kubeProxyReplacement": "true", "loadBalancer": {"algorithm": "maglev"}}), vec![]),
            (
                json!({"ipam": {"mode": "kubernetes", "operator": {"clusterPoolIPv4PodCIDRList": ["10.42.0.0/16"]}}}),
                vec!["ipam.operator"],
            ),
            (json!({"ingressController": {"enabled": true}}), vec!["ingressController.enabled"]),
        ];
        for (values, expected) in table {
            assert_eq!(fields(ignored::ALL, &values), expected, "{values}");
        }
    }
}
