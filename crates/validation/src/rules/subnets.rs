//! Nodes in several subnets, by the setting `NODE_SUBNETS`.

use ipnet::IpNet;

use crate::{Finding, Rule, Severity, known};
use bootstrapper_gitops::order::{at, is_true};
use bootstrapper_gitops::{Declared, addresses};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "direct-routes-across-subnets",
        severity: Severity::Warning,
        summary: "Cilium should install direct routes to all nodes, but some are in another subnet",
        why: "a direct route to a node behind a router is impossible: agents report an error for each such node, and stay degraded (`Failed to update nodes`)",
        fix: "set `directRoutingSkipUnreachable: true`; the routers then need the routes to the pods, for example by BGP",
        check: |rule, fleet| fleet.each(|declared| direct_routes(rule, declared).into_iter().collect()),
    },
    Rule {
        name: "subnet-outside-of-nodes",
        severity: Severity::Error,
        summary: "a range in NODE_SUBNETS is not part of NODE_CIDR",
        why: "NodePorts do not answer on nodes outside of NODE_CIDR, and policies that exclude the nodes do not exclude these",
        fix: "set NODE_CIDR to a range that contains all subnets of the nodes",
        check: |rule, fleet| fleet.each(|declared| outside(rule, declared)),
    },
];

const SUBNETS: &str = "NODE_SUBNETS";

fn subnets(declared: &Declared) -> Vec<IpNet> {
    declared.settings.get(SUBNETS).and_then(|text| addresses::read(text)).unwrap_or_default()
}

fn direct_routes(rule: &Rule, declared: &Declared) -> Option<Finding> {
    let subnets = subnets(declared);
    let cilium = known::cilium(declared)?;
    let is_on = |value: &str| is_true(at(cilium.values, value));
    let is_at_risk = is_on("autoDirectNodeRoutes") && !is_on("directRoutingSkipUnreachable");
    if subnets.len() < 2 || !is_at_risk {
        return None;
    }
    let names = subnets.iter().map(IpNet::to_string).collect::<Vec<_>>().join(", ");
    let message = format!(
        "{}: autoDirectNodeRoutes without directRoutingSkipUnreachable, and nodes in {names}",
        cilium.id
    );
    let finding = Finding::of(rule, message).in_cluster(&declared.cluster).about(cilium.id);
    Some(finding.at(declared.place(cilium.id, "spec.values.autoDirectNodeRoutes")))
}

fn outside(rule: &Rule, declared: &Declared) -> Vec<Finding> {
    let Some(nodes) = declared.settings.get("NODE_CIDR").and_then(|text| addresses::read(text)) else {
        return Vec::new();
    };
    let strays =
        subnets(declared).into_iter().filter(|subnet| !nodes.iter().any(|range| range.contains(subnet)));
    let found = strays.map(|subnet| {
        let message = format!("{SUBNETS} {subnet} is not in NODE_CIDR {}", declared.settings["NODE_CIDR"]);
        Finding::of(rule, message).in_cluster(&declared.cluster).at(declared.setting_location(SUBNETS))
    });
    found.collect()
}
