//! Values that Cilium's chart accepts, but that break the network.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use crate::fleet::{Placed, objects_of};
use crate::{Finding, Fleet, Rule, Severity, known};
use bootstrapper_gitops::Declared;
use bootstrapper_gitops::order::{Cilium, DNS, at, is_true};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "pod-range-overlaps",
        severity: Severity::Error,
        summary: "nodes or Services are in the range from which Cilium assigns pod addresses, by default 10.0.0.0/8",
        why: "nodes cannot reach nodes in the pod range, because its traffic is routed to pods; a pod with the address of a Service is unreachable (a warning)",
        fix: "set ipam.operator.clusterPoolIPv4PodCIDRList to a range that nothing else uses, or ipam.mode: kubernetes",
        check: pod_range,
    },
    Rule {
        name: "gateway-port-without-capability",
        severity: Severity::Error,
        summary: "a Gateway or Cilium's Ingress controller on the host network listens on a port below 1024, which Envoy may not bind",
        why: "Envoy runs without NET_BIND_SERVICE: the listener fails to bind (permission denied), and only Envoy's log shows it",
        fix: "add NET_BIND_SERVICE to envoy.securityContext.capabilities.envoy and set keepCapNetBindService: true next to it, or use a port above 1023",
        check: privileged_port,
    },
];

/// The chart's default range.
const DEFAULT: &str = "10.0.0.0/8";

fn pod_range(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let Some(cilium) = known::cilium(declared) else { return Vec::new() };
        let ranges = pool(cilium.values);
        let inside = used(declared, cilium).filter_map(|(what, text, severity)| {
            let range = ranges.iter().find(|range| overlaps(&text, range))?;
            Some((what, text, severity, range))
        });
        let worst = inside.min_by_key(|(_, _, severity, _)| *severity != Severity::Error);
        let finding = worst.map(|(what, address, severity, range)| {
            let message =
                format!("{}: pods get addresses of {range}, which overlaps {what} {address}", cilium.id);
            let place = if at(cilium.values, "ipam").is_null() { "spec.values" } else { "spec.values.ipam" };
            Finding::of(rule, message)
                .in_cluster(&declared.cluster)
                .about(cilium.id)
                .with_severity(severity)
                .at(declared.place(cilium.id, place))
        });
        finding.into_iter().collect()
    })
}

/// The ranges that the operator assigns pod addresses from; none if it does not do IPAM.
fn pool(values: &Value) -> Vec<IpNet> {
    let is_pool = matches!(at(values, "ipam.mode").as_str(), None | Some("cluster-pool"));
    let has_ipv4 = at(values, "ipv4.enabled") != false && at(values, "ipv4.enabled") != "false";
    if !is_pool || !has_ipv4 {
        return Vec::new();
    }
    let list = at(values, "ipam.operator.clusterPoolIPv4PodCIDRList");
    let text = match list {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        _ => list.as_str().unwrap_or_default().to_owned(),
    };
    let text = if text.is_empty() { DEFAULT.to_owned() } else { text };
    text.split([' ', ',']).filter_map(|range| range.parse().ok()).collect()
}

/// Addresses and ranges of nodes and Services, what they are, and the severity of an overlap with pods.
fn used<'a>(
    declared: &'a Declared,
    cilium: Cilium<'a>,
) -> impl Iterator<Item = (&'static str, String, Severity)> + 'a {
    let api_server = "the API server's address";
    let dns_service = "the DNS Service's address";
    let settings = [
        ("NODE_CIDR", "the nodes' range", Severity::Error),
        ("API_SERVER_HOST", api_server, Severity::Error),
        ("SERVICE_CIDR", "the Services' range", Severity::Warning),
        ("CLUSTER_DNS_IP", dns_service, Severity::Warning),
    ];
    let of_settings = settings.into_iter().filter_map(|(name, what, severity)| {
        declared.settings.get(name).map(|value| (what, value.clone(), severity))
    });
    let host = at(cilium.values, "k8sServiceHost").as_str();
    let host = host.map(|host| (api_server, host.to_owned(), Severity::Error));
    let dns = declared.releases.iter().filter(|release| release.chart.name() == DNS);
    let dns = dns.filter_map(move |release| {
        let address = at(&release.values, "service.clusterIP").as_str()?;
        Some((dns_service, address.to_owned(), Severity::Warning))
    });
    of_settings.chain(host).chain(dns)
}

/// Whether an address or a range, or any of a comma-separated list, overlaps `range`.
fn overlaps(text: &str, range: &IpNet) -> bool {
    text.split(',').map(str::trim).any(|one| match (one.parse::<IpNet>(), one.parse::<IpAddr>()) {
        (Ok(other), _) => range.contains(&other) || other.contains(range),
        (_, Ok(address)) => range.contains(&address),
        _ => false,
    })
}

fn privileged_port(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    let mut found = of_gateways(rule, fleet);
    found.extend(fleet.each(|declared| of_ingresses(rule, declared).into_iter().collect()));
    found
}

/// The shared listeners of the Ingress controller.
fn of_ingresses(rule: &Rule, declared: &Declared) -> Option<Finding> {
    const PORTS: [&str; 4] = ["sharedListenerPort", "httpPort", "httpsPort", "tlsPassthroughPort"];
    let cilium = known::cilium(declared)?;
    let ingress = at(cilium.values, "ingressController");
    let is_on_host = is_true(at(ingress, "enabled")) && is_true(at(ingress, "hostNetwork.enabled"));
    if !is_on_host || may_bind(cilium.values) {
        return None;
    }
    let port = |name: &str| at(ingress, &format!("hostNetwork.{name}")).as_u64();
    let (name, port) =
        PORTS.iter().find_map(|name| Some((name, port(name).filter(|port| (1..1024).contains(port))?)))?;
    let field = format!("spec.values.ingressController.hostNetwork.{name}");
    let message = format!(
        "{}: its Ingress controller listens on port {port} of the host, and Envoy may not bind it",
        cilium.id
    );
    let finding = Finding::of(rule, message).in_cluster(&declared.cluster).about(cilium.id);
    Some(finding.at(declared.place(cilium.id, &field)))
}

fn of_gateways(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
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
        let of_cilium = gateways.filter(|gateway| {
            let class = gateway.field(&["spec", "gatewayClassName"]).as_str().unwrap_or_default();
            class == "cilium" || is_class_of_cilium(declared, class)
        });
        of_cilium.filter_map(|gateway| of_gateway(rule, cilium, gateway)).collect()
    })
}

fn is_class_of_cilium(declared: &Declared, name: &str) -> bool {
    known::find(declared, "gateway.networking.k8s.io", "GatewayClass", None, name)
        .is_some_and(|class| class.field(&["spec", "controllerName"]) == "io.cilium/gateway-controller")
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

/// Whether Envoy may bind ports below 1024, as its own DaemonSet or within the agent.
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
    let is_granted = granted.into_iter().any(|one| one == "NET_BIND_SERVICE" || one == "ALL");
    keeps && (is_granted || context["privileged"] == true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pool_of_the_operator_has_the_charts_range_unless_one_is_set() {
        let of = |ipam: Value| {
            pool(&json!({"ipam": ipam})).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of(json!({"mode": "cluster-pool"})), DEFAULT);
        assert_eq!(of(Value::Null), DEFAULT);
        assert_eq!(of(json!({"operator": {"clusterPoolIPv4PodCIDRList": []}})), DEFAULT);
        assert_eq!(of(json!({"operator": {"clusterPoolIPv4PodCIDRList": "10.42.0.0/16"}})), "10.42.0.0/16");
        assert_eq!(of(json!({"operator": {"clusterPoolIPv4PodCIDRList": ["10.42.0.0/16"]}})), "10.42.0.0/16");
        assert_eq!(of(json!({"mode": "kubernetes"})), "");
        assert!(pool(&json!({"ipv4": {"enabled": false}})).is_empty());
        let range = DEFAULT.parse().unwrap();
        assert!(overlaps("fd00::/64, 10.25.11.0/24", &range) && overlaps("10.0.0.5", &range));
        assert!(
            !overlaps("192.168.1.5", &range)
                && !overlaps("localhost", &range)
                && !overlaps("fd00::1", &range)
        );
        assert!(overlaps("10.0.0.0/8", &"10.42.0.0/16".parse().unwrap()));
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
