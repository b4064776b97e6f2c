//! Values that Cilium's chart accepts, and with which nothing works.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use crate::fleet::{Placed, objects_of};
use crate::{Finding, Fleet, Rule, Severity, known};
use bootstrapper_gitops::Declared;
use bootstrapper_gitops::order::{Cilium, at, is_true};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "default-pod-range",
        severity: Severity::Error,
        summary: "Cilium gives pods addresses of 10.0.0.0/8, the default of its chart, and nodes or Services are in it",
        why: "pods get addresses that nodes or Services already have, and what is sent there reaches whichever comes first",
        fix: "set ipam.operator.clusterPoolIPv4PodCIDRList to a range that nothing else uses, or ipam.mode: kubernetes",
        check: default_pod_range,
    },
    Rule {
        name: "gateway-port-without-capability",
        severity: Severity::Error,
        summary: "a Gateway on the host network listens on a port below 1024, and Envoy may not bind it",
        why: "Envoy runs without NET_BIND_SERVICE: the listener fails to bind (permission denied), and only Envoy's log shows it",
        fix: "add NET_BIND_SERVICE to envoy.securityContext.capabilities.envoy and set keepCapNetBindService: true beside it, or use a port above 1023",
        check: privileged_port,
    },
];

const DEFAULT: &str = "10.0.0.0/8";

fn default_pod_range(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let Some(cilium) = known::cilium(declared).filter(|cilium| has_default_range(cilium.values)) else {
            return Vec::new();
        };
        let Ok(range) = DEFAULT.parse::<IpNet>() else { return Vec::new() };
        let inside = used(declared, cilium).find(|(_, text)| lies_in(text, &range));
        let finding = inside.map(|(what, address)| {
            let message =
                format!("{}: pods get addresses of {DEFAULT}, which contains {what} {address}", cilium.id);
            let mode = if at(cilium.values, "ipam").is_null() { "spec.values" } else { "spec.values.ipam" };
            Finding::of(rule, message)
                .in_cluster(&declared.cluster)
                .about(cilium.id)
                .at(declared.place(cilium.id, mode))
        });
        finding.into_iter().collect()
    })
}

/// Whether pods get addresses from a pool of the operator whose range is the chart's own.
fn has_default_range(values: &Value) -> bool {
    let is_pool = matches!(at(values, "ipam.mode").as_str(), None | Some("cluster-pool"));
    let is_ipv4 = at(values, "ipv4.enabled") != false;
    is_pool && is_ipv4 && at(values, "ipam.operator.clusterPoolIPv4PodCIDRList").is_null()
}

/// Addresses and ranges of nodes and Services, and what they are.
fn used<'a>(declared: &'a Declared, cilium: Cilium<'a>) -> impl Iterator<Item = (&'static str, String)> + 'a {
    let settings = [
        ("NODE_CIDR", "the nodes' range"),
        ("SERVICE_CIDR", "the Services' range"),
        ("API_SERVER_HOST", "the API server's address"),
        ("CLUSTER_DNS_IP", "the DNS Service's address"),
    ];
    let of_settings = settings
        .into_iter()
        .filter_map(|(name, what)| declared.settings.get(name).map(|value| (what, value.clone())));
    let host = at(cilium.values, "k8sServiceHost")
        .as_str()
        .map(|host| ("the API server's address", host.to_owned()));
    let dns = declared.releases.iter().filter(|release| release.chart.name() == "coredns");
    let dns = dns.filter_map(|release| {
        Some(("the DNS Service's address", at(&release.values, "service.clusterIP").as_str()?.to_owned()))
    });
    of_settings.chain(host).chain(dns)
}

/// Whether an address, or the first range of a list, lies in `range`.
fn lies_in(text: &str, range: &IpNet) -> bool {
    let first = text.split(',').next().unwrap_or_default().trim();
    match (first.parse::<IpNet>(), first.parse::<IpAddr>()) {
        (Ok(inner), _) => range.contains(&inner),
        (_, Ok(address)) => range.contains(&address),
        _ => false,
    }
}

fn privileged_port(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let Some(cilium) = known::cilium(declared).filter(|cilium| {
            let value = |path: &str| at(cilium.values, path);
            is_true(value("gatewayAPI.enabled"))
                && is_true(value("gatewayAPI.hostNetwork.enabled"))
                && !may_bind(cilium.values)
        }) else {
            return Vec::new();
        };
        let gateways =
            objects_of(declared).filter(|placed| placed.is("gateway.networking.k8s.io", "Gateway"));
        let of_cilium = gateways.filter(|gateway| gateway.field(&["spec", "gatewayClassName"]) == "cilium");
        of_cilium.filter_map(|gateway| of_gateway(rule, cilium, gateway)).collect()
    })
}

fn of_gateway(rule: &Rule, cilium: Cilium<'_>, gateway: Placed<'_>) -> Option<Finding> {
    let listeners = gateway.field(&["spec", "listeners"]).as_array()?;
    let low = |listener: &Value| listener["port"].as_u64().is_some_and(|port| port < 1024);
    let place = listeners.iter().position(low)?;
    let port = &listeners[place]["port"];
    let message = format!(
        "{} listens on port {port} of the host, and Envoy of {} may not bind it",
        gateway.id(),
        cilium.id
    );
    Some(gateway.finding(rule, &format!("spec.listeners[{place}].port"), message))
}

/// Whether Envoy may bind ports below 1024: as its own DaemonSet, or within the agent.
fn may_bind(values: &Value) -> bool {
    let keeps = is_true(at(values, "envoy.securityContext.capabilities.keepCapNetBindService"));
    let is_separate = at(values, "envoy.enabled") != false;
    let (context, list) = if is_separate {
        ("envoy.securityContext", "capabilities.envoy")
    } else {
        ("securityContext", "capabilities.ciliumAgent")
    };
    let context = at(values, context);
    let granted = at(context, list).as_array().into_iter().flatten();
    let is_granted = granted.into_iter().any(|one| one == "NET_BIND_SERVICE");
    keeps && (is_granted || context["privileged"] == true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pool_of_the_operator_has_the_charts_range_unless_one_is_set() {
        let of = |ipam: Value| has_default_range(&json!({"ipam": ipam}));
        assert!(of(json!({"mode": "cluster-pool"})) && of(Value::Null));
        assert!(!of(json!({"mode": "kubernetes"})));
        assert!(!of(json!({"operator": {"clusterPoolIPv4PodCIDRList": ["10.42.0.0/16"]}})));
        let range = DEFAULT.parse().unwrap();
        assert!(lies_in("10.25.11.0/24, fd00::/64", &range) && lies_in("10.0.0.5", &range));
        assert!(
            !lies_in("192.168.1.5", &range) && !lies_in("localhost", &range) && !lies_in("fd00::1", &range)
        );
    }

    #[test]
    fn envoy_binds_low_ports_only_if_it_keeps_the_capability() {
        let of = |capabilities: Value| {
            may_bind(&json!({"envoy": {"securityContext": {"capabilities": capabilities}}}))
        };
        assert!(of(json!({"keepCapNetBindService": true, "envoy": ["NET_ADMIN", "NET_BIND_SERVICE"]})));
        assert!(!of(json!({"envoy": ["NET_BIND_SERVICE"]})));
        assert!(!of(json!({"keepCapNetBindService": true, "envoy": ["NET_ADMIN"]})));
        assert!(!of(json!({"keepCapNetBindService": true})));
        let agent = json!({"envoy": {"enabled": false, "securityContext": {"capabilities": {"keepCapNetBindService": true}}},
            "securityContext": {"capabilities": {"ciliumAgent": ["NET_BIND_SERVICE"]}}});
        assert!(may_bind(&agent));
    }
}
