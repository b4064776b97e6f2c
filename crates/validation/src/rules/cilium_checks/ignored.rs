//! Values that another value turns off.

use super::{ALWAYS, Check};

pub(super) const ALL: &[Check] = &[
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
