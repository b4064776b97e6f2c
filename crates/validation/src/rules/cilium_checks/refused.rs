//! What the chart fails on, and what agents exit on at their start.

use super::{ALWAYS, Check};
use crate::schema::is_unknown;

pub(super) const ALL: &[Check] = &[
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
    Check {
        field: "routingMode",
        what: "routingMode `native` with ipv6 needs ipv6NativeRoutingCIDR, or enableIPv6Masquerade: false",
        since: ALWAYS,
        applies: |v| {
            v.is_native()
                && !v.is_of_cloud()
                && v.on("ipv6.enabled")
                && !v.off("enableIPv6Masquerade")
                && !v.on("ipMasqAgent.enabled")
                && !v.is_set("ipv6NativeRoutingCIDR")
                && !v.on("nativeRoutingCIDRFromClusterPool")
        },
    },
    Check {
        field: "bpf.datapathMode",
        what: "bpf.datapathMode `netkit` needs kubeProxyReplacement: true, bpf.masquerade: true and bpf.hostLegacyRouting: false",
        since: (1, 20),
        applies: |v| {
            v.text("bpf.datapathMode").starts_with("netkit")
                && (v.on("bpf.hostLegacyRouting")
                    || !v.replaces_proxy()
                    || (v.masquerades() && !v.on("bpf.masquerade") && !v.is_set("upgradeCompatibility")))
        },
    },
    Check {
        field: "enableIPv4BIGTCP",
        what: "BIG TCP cannot be combined with IPsec or bpf.hostLegacyRouting",
        since: ALWAYS,
        applies: |v| {
            (v.on("enableIPv4BIGTCP") || v.on("enableIPv6BIGTCP"))
                && (v.is_ipsec() || v.on("bpf.hostLegacyRouting"))
        },
    },
    Check {
        field: "loadBalancer.dsrDispatch",
        what: "loadBalancer.dsrDispatch `geneve` needs tunnelProtocol: geneve, with native routing too",
        since: ALWAYS,
        applies: |v| {
            v.is_dsr()
                && v.replaces_proxy()
                && v.is_native()
                && v.text("loadBalancer.dsrDispatch") == "geneve"
                && v.text("tunnelProtocol") != "geneve"
        },
    },
    Check {
        field: "dnsProxy.enableTransparentMode",
        what: "IPsec needs dnsProxy.enableTransparentMode: true, or l7Proxy: false",
        since: (1, 17),
        applies: |v| v.is_ipsec() && v.off("dnsProxy.enableTransparentMode") && !v.off("l7Proxy"),
    },
    Check {
        field: "egressMasqueradeInterfaces",
        what: "egressMasqueradeInterfaces cannot be combined with bpf.masquerade: use devices",
        since: ALWAYS,
        applies: |v| v.is_set("egressMasqueradeInterfaces") && v.on("bpf.masquerade") && v.masquerades(),
    },
    Check {
        field: "enableMasqueradeRouteSource",
        what: "enableMasqueradeRouteSource cannot be combined with bpf.masquerade",
        since: ALWAYS,
        applies: |v| v.on("enableMasqueradeRouteSource") && v.on("bpf.masquerade") && v.masquerades(),
    },
    Check {
        field: "authentication.mutual.spire.enabled",
        what: "authentication.mutual.spire needs authentication.enabled: true",
        since: (1, 20),
        applies: |v| v.on("authentication.mutual.spire.enabled") && !v.on("authentication.enabled"),
    },
    Check {
        field: "nativeRoutingCIDRFromClusterPool",
        what: "nativeRoutingCIDRFromClusterPool needs exactly one range in ipam.operator.clusterPoolIPv4PodCIDRList",
        since: (1, 20),
        applies: |v| {
            let ranges = v.get("ipam.operator.clusterPoolIPv4PodCIDRList").as_array().map(Vec::len);
            v.on("nativeRoutingCIDRFromClusterPool")
                && !v.is_set("ipv4NativeRoutingCIDR")
                && !v.off("ipv4.enabled")
                && matches!(v.text("ipam.mode"), "" | "cluster-pool")
                && ranges.is_some_and(|ranges| ranges > 1)
        },
    },
    Check {
        field: "ingressController.service.externalTrafficPolicy",
        what: "ingressController.service.externalTrafficPolicy is neither Cluster nor Local",
        since: (1, 16),
        applies: |v| {
            v.on("ingressController.enabled")
                && matches!(v.text("ingressController.service.type"), "" | "LoadBalancer" | "NodePort")
                && !matches!(
                    v.text("ingressController.service.externalTrafficPolicy"),
                    "" | "Cluster" | "Local"
                )
        },
    },
    Check {
        field: "clustermesh.apiserver.tls.authMode",
        what: "clustermesh.apiserver.tls.authMode is none of legacy, migration and cluster",
        since: ALWAYS,
        applies: |v| {
            v.on("clustermesh.useAPIServer")
                && !matches!(
                    v.text("clustermesh.apiserver.tls.authMode"),
                    "" | "legacy" | "migration" | "cluster"
                )
        },
    },
    Check {
        field: "clustermesh.apiserver.tls.ca",
        what: "clustermesh.apiserver.tls.ca was removed in 1.15: use tls.ca",
        since: (1, 15),
        applies: |v| {
            v.is_set("clustermesh.apiserver.tls.ca.cert") || v.is_set("clustermesh.apiserver.tls.ca.key")
        },
    },
    Check {
        field: "enableCnpStatusUpdates",
        what: "enableCnpStatusUpdates was removed in 1.15",
        since: (1, 15),
        applies: |v| v.is_set("enableCnpStatusUpdates"),
    },
];
