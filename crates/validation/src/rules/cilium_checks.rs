//! Pairs of values that Cilium's chart or its programs refuse, or do not heed.
//!
//! From `templates/validate.yaml` and `templates/cilium-configmap.yaml` of the chart, and the checks of the agent at
//! its start (`daemon/cmd/daemon.go`, `daemon_main.go`, `pkg/kpr/initializer`, `pkg/egressgateway`) of Cilium 1.20.2.

use serde_json::Value;

use crate::schema::is_unknown;
use crate::{Finding, Fleet, Rule, Severity, known};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_gitops::order::{at, is_true};
use bootstrapper_gitops::{Declared, ProblemKind};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "cilium-values-refused",
        severity: Severity::Error,
        summary: "values of Cilium that its chart or its agents refuse",
        why: "the chart fails to render, or the agents exit at their start (CrashLoopBackOff): the cluster has no network",
        fix: "change one of the values that the finding names",
        check: |rule, fleet| checked(rule, fleet, REFUSED),
    },
    Rule {
        name: "cilium-values-ignored",
        severity: Severity::Warning,
        summary: "a value of Cilium without effect",
        why: "another value turns off what it belongs to; at most a line in a log says so",
        fix: "change the other value, or remove this one",
        check: |rule, fleet| checked(rule, fleet, IGNORED),
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
        self.on("encryption.enabled") && matches!(self.text("encryption.type"), "" | "ipsec")
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

const REFUSED: &[Check] = &[
    Check {
        field: "routingMode",
        what: "routingMode `native` needs ipv4NativeRoutingCIDR, or enableIPv4Masquerade: false",
        since: ALWAYS,
        applies: |v| {
            v.is_native()
                && !v.is_of_cloud()
                && !v.off("ipv4.enabled")
                && !v.off("enableIPv4Masquerade")
                && !v.on("ipMasqAgent.enabled")
                && !v.is_set("ipv4NativeRoutingCIDR")
                && !v.on("nativeRoutingCIDRFromClusterPool")
                && !v.is_set("cni.chainingMode")
        },
    },
    Check {
        field: "autoDirectNodeRoutes",
        what: "autoDirectNodeRoutes needs routingMode: native; the default is a tunnel",
        since: ALWAYS,
        applies: |v| v.on("autoDirectNodeRoutes") && v.is_tunnel(),
    },
    Check {
        field: "directRoutingSkipUnreachable",
        what: "directRoutingSkipUnreachable needs autoDirectNodeRoutes: true",
        since: (1, 16),
        applies: |v| v.on("directRoutingSkipUnreachable") && !v.on("autoDirectNodeRoutes"),
    },
    Check {
        field: "ipv4.enabled",
        what: "both ipv4 and ipv6 are disabled",
        since: ALWAYS,
        applies: |v| v.off("ipv4.enabled") && !v.on("ipv6.enabled"),
    },
    Check {
        field: "kubeProxyReplacement",
        what: "kubeProxyReplacement is neither true nor false",
        since: (1, 16),
        applies: |v| matches!(v.text("kubeProxyReplacement"), "strict" | "partial" | "probe" | "disabled"),
    },
    Check {
        field: "k8sServiceHost",
        what: "both k8sServiceHost and k8sServiceHostRef are set",
        since: ALWAYS,
        applies: |v| {
            v.is_set("k8sServiceHost")
                && v.is_set("k8sServiceHostRef.name")
                && v.is_set("k8sServiceHostRef.key")
        },
    },
    Check {
        field: "hubble.ui.enabled",
        what: "hubble.ui needs hubble.relay.enabled: true",
        since: ALWAYS,
        applies: |v| {
            v.on("hubble.ui.enabled")
                && !v.on("hubble.relay.enabled")
                && !v.on("hubble.ui.standalone.enabled")
        },
    },
    Check {
        field: "hubble.relay.enabled",
        what: "hubble.relay needs hubble.enabled: true",
        since: ALWAYS,
        applies: |v| v.on("hubble.relay.enabled") && v.off("hubble.enabled"),
    },
    Check {
        field: "hubble.tls.auto.method",
        what: "hubble.tls.auto.method `certmanager` needs certManagerIssuerRef",
        since: ALWAYS,
        applies: |v| {
            !["hubble.enabled", "hubble.tls.enabled", "hubble.tls.auto.enabled"]
                .iter()
                .any(|path| v.off(path))
                && v.text("hubble.tls.auto.method") == "certmanager"
                && !v.is_set("hubble.tls.auto.certManagerIssuerRef")
        },
    },
    Check {
        field: "clustermesh.apiserver.tls.auto.method",
        what: "clustermesh.apiserver.tls.auto.method `certmanager` needs certManagerIssuerRef",
        since: ALWAYS,
        applies: |v| {
            v.on("clustermesh.useAPIServer")
                && !v.off("clustermesh.apiserver.tls.auto.enabled")
                && v.text("clustermesh.apiserver.tls.auto.method") == "certmanager"
                && !v.is_set("clustermesh.apiserver.tls.auto.certManagerIssuerRef")
        },
    },
    Check {
        field: "hubble.redact.http.headers",
        what: "hubble.redact.http.headers has both `allow` and `deny`",
        since: ALWAYS,
        applies: |v| {
            v.is_set("hubble.redact.http.headers.allow") && v.is_set("hubble.redact.http.headers.deny")
        },
    },
    Check {
        field: "cluster.name",
        what: "cluster.id needs a cluster.name other than `default`",
        since: ALWAYS,
        applies: |v| {
            v.number("cluster.id").is_some_and(|id| id != 0)
                && matches!(v.text("cluster.name"), "" | "default")
        },
    },
    Check {
        field: "cluster.name",
        what: "cluster.name must have at most 32 lower-case letters, digits and `-`, and begin and end with a letter or digit",
        since: ALWAYS,
        applies: |v| {
            let name = v.text("cluster.name");
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            !name.is_empty()
                && !is_unknown(name)
                && (name.len() > 32
                    || !name.chars().all(|c| is_plain(c) || c == '-')
                    || !name.starts_with(is_plain)
                    || !name.ends_with(is_plain))
        },
    },
    Check {
        field: "clustermesh.maxConnectedClusters",
        what: "clustermesh.maxConnectedClusters is neither 255 nor 511",
        since: ALWAYS,
        applies: |v| v.number("clustermesh.maxConnectedClusters").is_some_and(|it| it != 255 && it != 511),
    },
    Check {
        field: "disableEndpointCRD",
        what: "disableEndpointCRD cannot be combined with the mesh's API server or with ciliumEndpointSlice",
        since: ALWAYS,
        applies: |v| {
            v.on("disableEndpointCRD")
                && (v.on("clustermesh.useAPIServer") || v.on("ciliumEndpointSlice.enabled"))
        },
    },
    Check {
        field: "l7Proxy",
        what: "the Ingress controller and Envoy's load balancing need l7Proxy: true",
        since: ALWAYS,
        applies: |v| {
            v.off("l7Proxy")
                && (v.on("ingressController.enabled") || v.text("loadBalancer.l7.backend") == "envoy")
        },
    },
    Check {
        field: "gatewayAPI.externalTrafficPolicy",
        what: "gatewayAPI.externalTrafficPolicy is neither Cluster nor Local",
        since: (1, 16),
        applies: |v| {
            v.on("gatewayAPI.enabled")
                && !matches!(v.text("gatewayAPI.externalTrafficPolicy"), "" | "Cluster" | "Local")
        },
    },
    Check {
        field: "bpf.tproxy",
        what: "bpf.tproxy cannot be combined with bpf.datapathMode `netkit`",
        since: (1, 18),
        applies: |v| v.on("bpf.tproxy") && v.text("bpf.datapathMode").starts_with("netkit"),
    },
    Check {
        field: "ipam.mode",
        what: "ipam.mode `eni` needs eni.enabled: true",
        since: (1, 18),
        applies: |v| v.text("ipam.mode") == "eni" && !v.on("eni.enabled"),
    },
    Check {
        field: "bpf.masquerade",
        what: "bpf.masquerade needs enableIPv4Masquerade or enableIPv6Masquerade",
        since: ALWAYS,
        applies: |v| v.on("bpf.masquerade") && v.off("enableIPv4Masquerade") && v.off("enableIPv6Masquerade"),
    },
    Check {
        field: "ipMasqAgent.enabled",
        what: "ipMasqAgent needs bpf.masquerade: true",
        since: ALWAYS,
        applies: |v| {
            v.on("ipMasqAgent.enabled") && !v.on("bpf.masquerade") && !v.is_set("upgradeCompatibility")
        },
    },
    Check {
        field: "egressGateway.enabled",
        what: "egressGateway needs bpf.masquerade: true and enableIPv4Masquerade",
        since: ALWAYS,
        applies: |v| {
            v.on("egressGateway.enabled")
                && (!v.on("bpf.masquerade") || v.off("enableIPv4Masquerade"))
                && !v.is_set("upgradeCompatibility")
        },
    },
    Check {
        field: "egressGateway.enabled",
        what: "egressGateway cannot be combined with ciliumEndpointSlice",
        since: ALWAYS,
        applies: |v| v.on("egressGateway.enabled") && v.on("ciliumEndpointSlice.enabled"),
    },
    Check {
        field: "loadBalancer.mode",
        what: "loadBalancer.mode `dsr` or `hybrid` needs routingMode: native, or tunnelProtocol and dsrDispatch `geneve`",
        since: ALWAYS,
        applies: |v| {
            v.is_dsr()
                && v.replaces_proxy()
                && v.is_tunnel()
                && (v.text("tunnelProtocol") != "geneve" || v.text("loadBalancer.dsrDispatch") != "geneve")
        },
    },
    Check {
        field: "encryption.type",
        what: "IPsec cannot be combined with hostFirewall",
        since: ALWAYS,
        applies: |v| v.is_ipsec() && v.on("hostFirewall.enabled"),
    },
    Check {
        field: "installNoConntrackIptablesRules",
        what: "installNoConntrackIptablesRules needs routingMode: native, kubeProxyReplacement and bpf.masquerade (unless nothing is masqueraded)",
        since: ALWAYS,
        applies: |v| {
            v.on("installNoConntrackIptablesRules")
                && (v.is_tunnel()
                    || !v.replaces_proxy()
                    || v.off("ipv4.enabled")
                    || (v.masquerades() && !v.on("bpf.masquerade") && !v.is_set("upgradeCompatibility")))
        },
    },
    Check {
        field: "bandwidthManager.bbr",
        what: "bandwidthManager.bbr needs host routing by eBPF (bpf.hostLegacyRouting: false)",
        since: ALWAYS,
        applies: |v| {
            v.on("bandwidthManager.enabled")
                && v.on("bandwidthManager.bbr")
                && !v.on("bandwidthManager.bbrHostNamespaceOnly")
                && v.on("bpf.hostLegacyRouting")
        },
    },
    Check {
        field: "tunnel",
        what: "`tunnel` was removed in 1.15: use routingMode and tunnelProtocol",
        since: (1, 15),
        applies: |v| v.is_set("tunnel"),
    },
    Check {
        field: "encryption",
        what: "keyFile, mountPath, secretName and interface of `encryption` were removed in 1.16: use encryption.ipsec",
        since: (1, 16),
        applies: |v| {
            ["keyFile", "mountPath", "secretName", "interface"]
                .iter()
                .any(|it| v.is_set(&format!("encryption.{it}")))
        },
    },
    Check {
        field: "proxy.prometheus",
        what: "proxy.prometheus was removed in 1.16: use envoy.prometheus",
        since: (1, 16),
        applies: |v| !v.get("proxy.prometheus.enabled").is_null() || v.is_set("proxy.prometheus.port"),
    },
    Check {
        field: "containerRuntime.integration",
        what: "containerRuntime.integration was removed in 1.16",
        since: (1, 16),
        applies: |v| v.is_set("containerRuntime.integration"),
    },
    Check {
        field: "remoteNodeIdentity",
        what: "remoteNodeIdentity was removed in 1.16",
        since: (1, 16),
        applies: |v| v.is_set("remoteNodeIdentity"),
    },
    Check {
        field: "endpointStatus",
        what: "endpointStatus was removed in 1.16",
        since: (1, 16),
        applies: |v| v.is_set("endpointStatus"),
    },
    Check {
        field: "enableCiliumEndpointSlice",
        what: "enableCiliumEndpointSlice was removed in 1.18: use ciliumEndpointSlice.enabled",
        since: (1, 18),
        applies: |v| v.is_set("enableCiliumEndpointSlice"),
    },
    Check {
        field: "ciliumEndpointSlice.sliceMode",
        what: "ciliumEndpointSlice.sliceMode was removed in 1.18",
        since: (1, 18),
        applies: |v| v.is_set("ciliumEndpointSlice.sliceMode"),
    },
];

const IGNORED: &[Check] = &[
    Check {
        field: "ingressController.enabled",
        what: "ingressController needs kubeProxyReplacement: true; without it no Ingress is served",
        since: (1, 16),
        applies: |v| v.on("ingressController.enabled") && !v.replaces_proxy(),
    },
    Check {
        field: "bandwidthManager.enabled",
        what: "bandwidthManager is turned off by IPsec",
        since: ALWAYS,
        applies: |v| v.on("bandwidthManager.enabled") && v.is_ipsec(),
    },
    Check {
        field: "loadBalancer",
        what: "mode, algorithm and acceleration of loadBalancer need kubeProxyReplacement: true",
        since: (1, 16),
        applies: |v| {
            let is_other = |path: &str, default: &str| !matches!(v.text(path), "") && v.text(path) != default;
            !v.replaces_proxy()
                && !v.on("nodePort.enabled")
                && (is_other("loadBalancer.mode", "snat")
                    || is_other("loadBalancer.algorithm", "random")
                    || is_other("loadBalancer.acceleration", "disabled"))
        },
    },
    Check {
        field: "tunnelProtocol",
        what: "tunnelProtocol has no effect with routingMode: native",
        since: ALWAYS,
        applies: |v| {
            v.is_native()
                && v.is_set("tunnelProtocol")
                && v.text("loadBalancer.dsrDispatch") != "geneve"
                && !v.on("egressGateway.enabled")
        },
    },
    Check {
        field: "ipam.operator",
        what: "the pool of ipam.operator has no effect with ipam.mode: kubernetes, which takes the ranges of the Nodes",
        since: ALWAYS,
        applies: |v| {
            v.text("ipam.mode") == "kubernetes"
                && (v.is_set("ipam.operator.clusterPoolIPv4PodCIDRList")
                    || v.is_set("ipam.operator.clusterPoolIPv6PodCIDRList"))
        },
    },
];

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
            (json!({"tunnel": ""}), vec![]),
        ];
        for (values, expected) in table {
            assert_eq!(fields(REFUSED, &values), expected, "{values}");
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
            assert_eq!(fields(IGNORED, &values), expected, "{values}");
        }
    }
}
