//! Addresses and ports that Services ask for.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use super::addresses::is_of_setting;
use crate::fleet::{Placed, objects_of};
use crate::paths::values_at;
use crate::services::{Balancer, Claim, claims};
use crate::{Finding, Rule, Severity, known};
use bootstrapper_core::selector::selects;
use bootstrapper_gitops::order::{at, is_true};
use bootstrapper_gitops::{Declared, addresses};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "address-taken",
        severity: Severity::Error,
        summary: "two Services or Gateways ask for the same address or port",
        why: "only one of them gets it: the API server rejects a second ClusterIP or node port, and a second Service of type LoadBalancer has no address",
        fix: "give each its own, or let both share it: the same `lbipam.cilium.io/sharing-key`, and different ports",
        check: |rule, fleet| fleet.each(|declared| taken(rule, declared)),
    },
    Rule {
        name: "address-outside-pools",
        severity: Severity::Error,
        summary: "a Service asks for an address that is in no address pool",
        why: "nobody assigns the address: the Service stays without one (`<pending>`), and only its condition says why",
        fix: "use an address of a pool that selects the Service, or add it to a pool",
        check: |rule, fleet| fleet.each_whole(|declared| outside(rule, declared)),
    },
];

fn taken(rule: &Rule, declared: &Declared) -> Vec<Finding> {
    let mut found = balanced_twice(rule, declared);
    found.extend(reserved_twice(rule, declared));
    found.extend(host_port_twice(rule, declared));
    found
}

/// On the host network, each Gateway of Cilium needs ports of its own.
fn host_port_twice(rule: &Rule, declared: &Declared) -> Vec<Finding> {
    let is_on_host = known::cilium(declared)
        .is_some_and(|cilium| is_true(at(cilium.values, "gatewayAPI.hostNetwork.enabled")));
    let mut first: BTreeMap<u64, Placed<'_>> = BTreeMap::new();
    let mut found = Vec::new();
    let gateways = objects_of(declared).filter(|placed| {
        is_on_host
            && placed.is("gateway.networking.k8s.io", "Gateway")
            && placed.field(&["spec", "gatewayClassName"]) == "cilium"
    });
    for placed in gateways {
        for (path, port) in values_at(&placed.object.data, "spec.listeners[].port") {
            let Some(port) = port.as_u64() else { continue };
            let other = *first.entry(port).or_insert(placed);
            if other.id() != placed.id() {
                let message =
                    format!("{} listens on port {port} of the host, as {} does", placed.id(), other.id());
                let finding = placed.finding(rule, &path, message);
                found.push(
                    finding
                        .because("Envoy binds a port of the host once: one of the Gateways gets no traffic"),
                );
            }
        }
    }
    found
}

fn balanced_twice(rule: &Rule, declared: &Declared) -> Vec<Finding> {
    let has_pool = !pools(declared).is_empty();
    let is_known = |claim: &Claim<'_>| claim.balancer != Balancer::Any || has_pool;
    let claims: Vec<Claim<'_>> = claims(declared).into_iter().filter(is_known).collect();
    let mut found = Vec::new();
    for (at, claim) in claims.iter().enumerate() {
        let clash = claims[..at].iter().find_map(|other| {
            let address = claim.addresses.iter().find(|address| other.addresses.contains(address))?;
            let is_same = claim.placed.id() == other.placed.id() && claim.path == other.path;
            let why = if is_same { None } else { claim.refusal(other) }?;
            // The same object twice is another fault.
            (claim.placed.id() != other.placed.id() || claim.placed.id().kind == "HelmRelease")
                .then_some((other, address, why))
        });
        if let Some((other, address, why)) = clash {
            let message =
                format!("{} asks for {address}, as {} does: {why}", claim.placed.id(), other.placed.id());
            found.push(claim.placed.finding(rule, &claim.path, message));
        }
    }
    found
}

/// What the API server gives to one Service only.
fn reserved_twice(rule: &Rule, declared: &Declared) -> Vec<Finding> {
    let mut first: BTreeMap<String, Placed<'_>> = BTreeMap::new();
    let mut found = Vec::new();
    for placed in objects_of(declared).filter(|placed| placed.is("", "Service")) {
        for (field, what) in reserved(placed) {
            match first.get(&what) {
                Some(other) if other.id() != placed.id() => {
                    let message = format!("{} asks for {what}, as {} does", placed.id(), other.id());
                    found.push(placed.finding(rule, &field, message));
                }
                _ => {
                    first.insert(what, placed);
                }
            }
        }
    }
    found
}

/// The ClusterIPs and node ports of a Service, each with its field.
fn reserved(placed: Placed<'_>) -> Vec<(String, String)> {
    let spec = placed.field(&["spec"]);
    let mut found = Vec::new();
    if let Some(address) = spec["clusterIP"].as_str().and_then(|text| text.parse::<IpAddr>().ok()) {
        found.push(("spec.clusterIP".to_owned(), format!("ClusterIP {address}")));
    }
    for (number, port) in spec["ports"].as_array().into_iter().flatten().enumerate() {
        if let Some(node_port) = port["nodePort"].as_u64().filter(|port| *port != 0) {
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            found.push((
                format!("spec.ports[{number}].nodePort"),
                format!("node port {node_port}/{protocol}"),
            ));
        }
    }
    if let Some(port) = spec["healthCheckNodePort"].as_u64().filter(|port| *port != 0) {
        found.push(("spec.healthCheckNodePort".to_owned(), format!("node port {port}/TCP")));
    }
    found
}

/// A pool of addresses for Services.
struct Pool<'a> {
    placed: Placed<'a>,
    balancer: Balancer,
    blocks: Vec<Block>,
}

/// A part of a pool; none where it is not known.
enum Block {
    Net(IpNet, bool),
    Range(IpAddr, IpAddr),
    Unknown,
}

impl Block {
    fn of_range(start: &str, stop: &str) -> Self {
        match (start.trim().parse(), stop.trim().parse()) {
            (Ok(start), Ok(stop)) => Self::Range(start, stop),
            _ => Self::Unknown,
        }
    }

    fn of_net(text: &str, has_ends: bool) -> Self {
        text.trim().parse().map_or(Self::Unknown, |net| Self::Net(net, has_ends))
    }

    fn may_have(&self, address: IpAddr) -> bool {
        match self {
            Self::Unknown => true,
            Self::Range(start, stop) => {
                start.is_ipv4() == address.is_ipv4() && *start <= address && address <= *stop
            }
            Self::Net(net, has_ends) => {
                let is_end = address == net.network() || address == net.broadcast();
                let is_small = net.max_prefix_len() - net.prefix_len() <= 1;
                net.contains(&address) && (*has_ends || is_small || !is_end)
            }
        }
    }
}

fn pools(declared: &Declared) -> Vec<Pool<'_>> {
    let found = objects_of(declared).filter_map(|placed| {
        let spec = placed.field(&["spec"]);
        if placed.is("cilium.io", "CiliumLoadBalancerIPPool") {
            let has_ends = spec["allowFirstLastIPs"] != "No";
            let lists =
                ["blocks", "cidrs"].iter().flat_map(|field| spec[*field].as_array().into_iter().flatten());
            let block = |block: &Value| match (block["cidr"].as_str(), block["start"].as_str()) {
                (Some(net), _) => Block::of_net(net, has_ends),
                (_, Some(start)) => Block::of_range(start, block["stop"].as_str().unwrap_or(start)),
                _ => Block::Unknown,
            };
            let blocks = lists.map(block).collect();
            return Some(Pool { placed, balancer: Balancer::Cilium, blocks });
        }
        if placed.is("metallb.io", "IPAddressPool") {
            let has_ends = spec["avoidBuggyIPs"] != true;
            let listed = spec["addresses"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let blocks = listed.map(|text| match text.split_once('-') {
                Some((start, stop)) => Block::of_range(start, stop),
                None => Block::of_net(text, has_ends),
            });
            return Some(Pool { placed, balancer: Balancer::MetalLb, blocks: blocks.collect() });
        }
        None
    });
    found.collect()
}

impl Pool<'_> {
    /// Whether it may give an address to what claims it.
    fn may_give(&self, address: IpAddr, claim: &Claim<'_>) -> bool {
        self.placed.field(&["spec", "disabled"]) != true
            && self.blocks.iter().any(|block| block.may_have(address))
            && self.selects(claim)
    }

    /// The labels of a Service that somebody else makes are not known.
    fn selects(&self, claim: &Claim<'_>) -> bool {
        let selector = self.placed.field(&["spec", "serviceSelector"]);
        let is_all = selector.as_object().is_none_or(serde_json::Map::is_empty);
        if is_all || !claim.placed.is("", "Service") {
            return true;
        }
        let mut labels = claim.placed.object.metadata.labels.clone().unwrap_or_default();
        labels.insert("io.kubernetes.service.name".to_owned(), claim.placed.id().name);
        labels.insert("io.kubernetes.service.namespace".to_owned(), claim.namespace.to_owned());
        selects(selector, &labels)
    }
}

/// Silent where no pool is declared: it may be somewhere else.
fn outside(rule: &Rule, declared: &Declared) -> Vec<Finding> {
    let pools = pools(declared);
    if pools.is_empty() || declared.has_unseen_parts() {
        return Vec::new();
    }
    let of_claims = claims(declared).into_iter().filter_map(|claim| {
        let is_meant = |pool: &&Pool<'_>| claim.balancer == Balancer::Any || claim.balancer == pool.balancer;
        let meant: Vec<&Pool<'_>> = pools.iter().filter(is_meant).collect();
        let mut outside = claim.addresses.iter().copied().filter(|address| {
            !meant.iter().any(|pool| pool.may_give(*address, &claim)) && !is_of_setting(declared, *address)
        });
        let address = outside.next().filter(|_| !meant.is_empty())?;
        let names: Vec<String> = meant.iter().map(|pool| pool.placed.id().name).collect();
        let holding = meant.iter().find(|pool| pool.blocks.iter().any(|block| block.may_have(address)));
        let why = match holding {
            Some(pool) if pool.placed.field(&["spec", "disabled"]) == true => {
                format!("pool {} has it and is disabled", pool.placed.id().name)
            }
            Some(pool) => format!("pool {} has it, but does not select this Service", pool.placed.id().name),
            None => format!("no pool has it ({})", names.join(", ")),
        };
        let message = format!("{} asks for {address}: {why}", claim.placed.id());
        Some(claim.placed.finding(rule, &claim.path, message))
    });
    of_claims.chain(outside_of_services(rule, declared)).collect()
}

/// ClusterIPs that are not in the range of the Services.
fn outside_of_services(rule: &Rule, declared: &Declared) -> Vec<Finding> {
    let Some(ranges) = declared.settings.get("SERVICE_CIDR").and_then(|text| addresses::read(text)) else {
        return Vec::new();
    };
    let services = objects_of(declared).filter(|placed| placed.is("", "Service"));
    let found = services.filter_map(|placed| {
        let address: IpAddr = placed.field(&["spec", "clusterIP"]).as_str()?.parse().ok()?;
        if ranges.iter().any(|range| range.contains(&address)) || is_of_setting(declared, address) {
            return None;
        }
        let message = format!("{} asks for ClusterIP {address}, which is not in SERVICE_CIDR", placed.id());
        let finding = placed.finding(rule, "spec.clusterIP", message);
        Some(
            finding
                .because("the API server rejects the Service: the address is not in its range of Services"),
        )
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_pools() {
        let has = |block: Block, address: &str| block.may_have(address.parse().unwrap());
        assert!(has(Block::of_net("10.0.0.0/24", true), "10.0.0.0"));
        assert!(!has(Block::of_net("10.0.0.0/24", false), "10.0.0.255"));
        assert!(has(Block::of_net("10.0.0.1/32", false), "10.0.0.1"));
        assert!(!has(Block::of_net("10.0.0.0/24", true), "10.0.1.1"));
        assert!(has(Block::of_range("10.0.0.5", "10.0.0.9"), "10.0.0.9"));
        assert!(!has(Block::of_range("10.0.0.5", "10.0.0.9"), "fd00::1"));
        assert!(has(Block::of_net("known-in-the-cluster-only", true), "10.0.0.1"));
    }
}
