//! Services: their ports, and what their type permits.

use std::collections::BTreeSet;

use super::Fault;
use crate::fleet::Placed;
use crate::paths::values_at;

pub(super) fn faults(placed: Placed<'_>) -> Vec<Fault> {
    if !placed.is("", "Service") {
        return Vec::new();
    }
    let spec = placed.field(&["spec"]);
    let kind = spec["type"].as_str().unwrap_or("ClusterIP");
    let ports = values_at(&placed.object.data, "spec.ports[]");
    let is_headless = spec["clusterIP"] == "None";
    let mut found = Vec::new();
    if ports.is_empty() && !is_headless && kind != "ExternalName" {
        found.push(Fault::new("spec", "it has no ports"));
    }
    if kind == "ExternalName" && spec["externalName"].as_str().is_none_or(str::is_empty) {
        found.push(Fault::new("spec.type", "its type is ExternalName, and it has no externalName"));
    }
    if is_headless && matches!(kind, "LoadBalancer" | "NodePort") {
        found.push(Fault::new(
            "spec.clusterIP",
            format!("its type is {kind}, which needs a ClusterIP, and clusterIP is None"),
        ));
    }
    let is_external = matches!(kind, "LoadBalancer" | "NodePort")
        || spec["externalIPs"].as_array().is_some_and(|all| !all.is_empty());
    if spec["externalTrafficPolicy"].as_str().is_some_and(|it| !it.is_empty()) && !is_external {
        found.push(Fault::new(
            "spec.externalTrafficPolicy",
            format!("its type is {kind}, which has no externalTrafficPolicy"),
        ));
    }
    for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass", "loadBalancerSourceRanges"] {
        if !spec[field].is_null() && spec[field] != serde_json::json!([]) && kind != "LoadBalancer" {
            let what = format!("its type is {kind}, which has no {field}");
            found.push(Fault::new(format!("spec.{field}"), what));
        }
    }
    let (mut names, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for (path, port) in &ports {
        let name = port["name"].as_str().filter(|name| !name.is_empty());
        if name.is_none() && ports.len() > 1 && names.insert("") {
            found.push(Fault::new(path, "it has several ports, and one without a name"));
        }
        if let Some(name) = name.filter(|name| !names.insert(*name)) {
            found.push(Fault::new(format!("{path}.name"), format!("two ports are called {name}")));
        }
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        if let Some(number) = port["port"].as_u64().filter(|number| !numbers.insert((*number, protocol))) {
            found
                .push(Fault::new(format!("{path}.port"), format!("port {number}/{protocol} is there twice")));
        }
        if port["nodePort"].as_u64().is_some_and(|port| port != 0) && kind == "ClusterIP" {
            found
                .push(Fault::new(format!("{path}.nodePort"), "its type is ClusterIP, which has no nodePort"));
        }
    }
    found
}
