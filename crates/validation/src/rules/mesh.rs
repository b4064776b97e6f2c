//! Clusters of a mesh must trust each other's certificates, and route each other's pods.

use ipnet::IpNet;
use serde_json::Value;

use crate::fleet::objects_of;
use crate::{Finding, Fleet, Rule, Severity, known};
use bootstrapper_gitops::Declared;
use bootstrapper_gitops::order::Cilium;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "mesh-address-not-certified",
        severity: Severity::Error,
        summary: "a cluster of the mesh is addressed by a name or IP that its certificate does not contain",
        why: "the TLS handshake fails and the clusters do not connect; no object of the API reports it",
        fix: "add it to `clustermesh.apiserver.tls.server.extraIpAddresses` (or extraDnsNames) of the remote cluster, or set `ips` instead of `address`",
        check: |rule, fleet| fleet.each(|declared| not_certified(rule, fleet, declared)),
    },
    Rule {
        name: "mesh-authority-not-shared",
        severity: Severity::Warning,
        summary: "a cluster of a mesh generates its own CA instead of the shared one",
        why: "no cluster trusts the certificates of another and they do not connect; no object of the API reports it",
        fix: "declare the Secret `kube-system/cilium-ca` (`ca.crt` and `ca.key`, the same in every cluster) under `secrets` in bootstrapper.yaml, or set `tls.ca` in the values",
        check: |rule, fleet| fleet.each(|declared| not_shared(rule, fleet, declared)),
    },
    Rule {
        name: "mesh-pods-masqueraded",
        severity: Severity::Error,
        summary: "the native routing range of a cluster does not contain the pods of another cluster of the mesh",
        why: "traffic to those pods is masqueraded: it has the address of a node, and policies for pods block it",
        fix: "set `ipv4NativeRoutingCIDR` to a range that contains the pods of every cluster of the mesh",
        check: |rule, fleet| fleet.each(|declared| masqueraded(rule, fleet, declared)),
    },
];

/// A cluster that another one lists as a peer.
struct Peer<'a> {
    /// Its entry in the list.
    entry: &'a Value,
    declared: &'a Declared,
    release: Cilium<'a>,
}

/// The peers of a cluster that are validated too.
fn peers<'a>(fleet: &'a Fleet, cilium: Cilium<'a>) -> impl Iterator<Item = Peer<'a>> {
    let entries = cilium.values["clustermesh"]["config"]["clusters"].as_array().into_iter().flatten();
    entries.filter_map(|entry| {
        let found = fleet.clusters.iter().find_map(move |declared| {
            let release = known::cilium(declared)?;
            (release.values["cluster"]["name"] == entry["name"]).then_some((declared, release))
        });
        // A cluster may list itself: the chart ignores it.
        let (declared, release) = found.filter(|(_, release)| !std::ptr::eq(release.id, cilium.id))?;
        Some(Peer { entry, declared, release })
    })
}

fn at(declared: &Declared, cilium: Cilium<'_>, rule: &Rule, field: &str, message: String) -> Option<Finding> {
    let placed = objects_of(declared).find(|placed| placed.id() == *cilium.id)?;
    Some(placed.finding(rule, field, message))
}

fn not_certified(rule: &Rule, fleet: &Fleet, declared: &Declared) -> Vec<Finding> {
    let Some(cilium) = known::cilium(declared) else { return Vec::new() };
    let faults = peers(fleet, cilium).filter_map(|Peer { entry, release, .. }| {
        let (name, address) = (entry["name"].as_str()?, entry["address"].as_str()?);
        if is_certified(address, release.values, cilium.values) {
            return None;
        }
        let message =
            format!("cluster {name} is addressed by {address}, which its certificate does not contain");
        at(declared, cilium, rule, "spec.values.clustermesh.config.clusters", message)
    });
    faults.collect()
}

/// Whether the chart's certificate of a cluster contains an address
/// (`templates/clustermesh-apiserver/_helpers.tpl`).
fn is_certified(address: &str, of: &Value, by: &Value) -> bool {
    let tls = &of["clustermesh"]["apiserver"]["tls"];
    // A provided certificate may contain anything.
    if tls["auto"]["enabled"] == false {
        return true;
    }
    let among = |list: &Value| list.as_array().into_iter().flatten().any(|one| one == address);
    let domain = by["clustermesh"]["config"]["domain"].as_str().unwrap_or("mesh.cilium.io");
    let is_of_domain = address.split_once('.').is_some_and(|(_, rest)| rest == domain);
    is_of_domain || among(&tls["server"]["extraIpAddresses"]) || among(&tls["server"]["extraDnsNames"])
}

/// The chart signs with an existing Secret `cilium-ca`, unless certificates are provided or cert-manager issues
/// them (`templates/_helpers.tpl`, `cilium.ca.setup`).
fn not_shared(rule: &Rule, fleet: &Fleet, declared: &Declared) -> Vec<Finding> {
    let Some(cilium) = known::cilium(declared) else { return Vec::new() };
    let auto = &cilium.values["clustermesh"]["apiserver"]["tls"]["auto"];
    let is_given = cilium.values["tls"]["ca"]["cert"].as_str().is_some_and(|cert| !cert.is_empty());
    let is_signed_by_others = auto["enabled"] == false || auto["method"] == "certmanager";
    if is_given || is_signed_by_others || known::has_secret(declared, "kube-system", "cilium-ca") {
        return Vec::new();
    }
    let strangers: Vec<&str> = peers(fleet, cilium).map(|peer| peer.declared.cluster.as_str()).collect();
    if strangers.is_empty() {
        return Vec::new();
    }
    let message = format!("it generates its own CA, which cluster {} does not trust", strangers.join(", "));
    at(declared, cilium, rule, "spec.values.clustermesh.config.clusters", message).into_iter().collect()
}

fn masqueraded(rule: &Rule, fleet: &Fleet, declared: &Declared) -> Vec<Finding> {
    let Some(cilium) = known::cilium(declared) else { return Vec::new() };
    let field = &cilium.values["ipv4NativeRoutingCIDR"];
    let range: Option<IpNet> = field.as_str().and_then(|range| range.parse().ok());
    let Some(range) = range.filter(|_| cilium.values["routingMode"] == "native") else { return Vec::new() };
    let faults = peers(fleet, cilium).filter_map(|peer| {
        let pods: IpNet = peer.declared.settings.get("POD_CIDR")?.parse().ok()?;
        if range.contains(&pods) {
            return None;
        }
        let message = format!(
            "{range} is routed natively, but the pods of cluster {} are in {pods}",
            peer.declared.cluster
        );
        at(declared, cilium, rule, "spec.values.ipv4NativeRoutingCIDR", message)
    });
    faults.collect()
}
