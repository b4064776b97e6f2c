//! Services: their ports, and the addresses that they ask for.

use std::net::IpAddr;

use serde_json::Value;

use crate::fleet::{Placed, objects_of};
use crate::paths::values_at;
use crate::{known, listeners};
use bootstrapper_gitops::order::{at, is_true};
use bootstrapper_gitops::{Declared, Release};

/// The Service of that name, if the cluster declares it.
pub(super) fn find<'a>(declared: &'a Declared, namespace: &str, name: &str) -> Option<Placed<'a>> {
    known::find(declared, "", "Service", Some(namespace), name)
}

/// How a backend names the port of a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Port<'a> {
    Number(u64),
    Name(&'a str),
}

impl std::fmt::Display for Port<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "port {number}"),
            Self::Name(name) => write!(f, "port `{name}`"),
        }
    }
}

/// The ports of a Service, if it does not have that one. One without ports, or of another name, has any.
pub(super) fn lacks_port(service: Placed<'_>, wanted: Port<'_>) -> Option<String> {
    let ports = service.field(&["spec", "ports"]).as_array().filter(|ports| !ports.is_empty())?;
    let is_it = |port: &Value| match wanted {
        Port::Number(number) => port["port"] == number,
        Port::Name(name) => port["name"] == name,
    };
    let is_readable = ports.iter().all(|port| port["port"].is_u64());
    if service.field(&["spec", "type"]) == "ExternalName" || !is_readable || ports.iter().any(is_it) {
        return None;
    }
    let shown = ports.iter().map(|port| match port["name"].as_str() {
        Some(name) => format!("{} ({name})", port["port"]),
        None => port["port"].to_string(),
    });
    Some(shown.collect::<Vec<_>>().join(", "))
}

/// Who gives a Service its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Balancer {
    Cilium,
    MetalLb,
    /// `spec.loadBalancerIP` says nothing about it.
    Any,
}

/// Annotations by which a Service asks for addresses.
const ADDRESSES: [(&str, Balancer); 4] = [
    ("lbipam.cilium.io/ips", Balancer::Cilium),
    ("io.cilium/lb-ipam-ips", Balancer::Cilium),
    ("metallb.io/loadBalancerIPs", Balancer::MetalLb),
    ("metallb.universe.tf/loadBalancerIPs", Balancer::MetalLb),
];

/// Annotations by which Services share an address.
const SHARING: [&str; 4] = [
    "lbipam.cilium.io/sharing-key",
    "io.cilium/lb-ipam-sharing-key",
    "metallb.io/allow-shared-ip",
    "metallb.universe.tf/allow-shared-ip",
];

/// Annotations that let Services of other namespaces share an address.
const ACROSS: [&str; 2] =
    ["lbipam.cilium.io/sharing-cross-namespace", "io.cilium/lb-ipam-sharing-cross-namespace"];

/// Addresses of the load balancer that a Service asks for: its own, or one that a Gateway or a chart makes.
#[derive(Debug, Clone)]
pub(super) struct Claim<'a> {
    /// What declares it.
    pub(super) placed: Placed<'a>,
    /// The field that says so.
    pub(super) path: String,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) balancer: Balancer,
    /// The namespace of the Service.
    pub(super) namespace: &'a str,
    /// The key by which it shares them.
    pub(super) sharing: Option<&'a str>,
    /// The namespaces that it shares them with.
    across: Option<&'a str>,
    /// Its ports with their protocols, if they are known.
    ports: Option<Vec<(u64, &'a str)>>,
}

impl Claim<'_> {
    /// Why two of them cannot have one address; none if they can.
    pub(super) fn refusal(&self, other: &Self) -> Option<String> {
        let (Some(own), Some(theirs)) = (self.sharing, other.sharing) else {
            return Some("they do not share it by a sharing key".to_owned());
        };
        if own != theirs {
            return Some(format!("their sharing keys differ (`{own}`, `{theirs}`)"));
        }
        let lets = |one: &Self, namespace: &str| {
            let across = one.across.unwrap_or_default();
            across.split(',').map(str::trim).any(|it| it == "*" || it == namespace)
        };
        let is_across = self.namespace != other.namespace && self.balancer == Balancer::Cilium;
        if is_across && !(lets(self, other.namespace) && lets(other, self.namespace)) {
            return Some(
                "they are in different namespaces, and do not both allow it (lbipam.cilium.io/sharing-cross-namespace)"
                    .to_owned(),
            );
        }
        let (own, theirs) = (self.ports.as_ref()?, other.ports.as_ref()?);
        let (port, protocol) = own.iter().find(|port| theirs.contains(port))?;
        Some(format!("both have port {port}/{protocol}"))
    }
}

/// What annotations at a path ask for.
fn of_annotations<'a>(
    placed: Placed<'a>,
    annotations: impl Fn(&str) -> Option<&'a str>,
    path: &str,
    namespace: &'a str,
    ports: Option<Vec<(u64, &'a str)>>,
) -> Option<Claim<'a>> {
    let (name, balancer, text) =
        ADDRESSES.iter().find_map(|(name, balancer)| Some((name, *balancer, annotations(name)?)))?;
    Some(Claim {
        placed,
        path: format!("{path}[\"{name}\"]"),
        addresses: addresses(text)?,
        balancer,
        namespace,
        sharing: SHARING.iter().find_map(|name| annotations(name)),
        across: ACROSS.iter().find_map(|name| annotations(name)),
        ports,
    })
}

/// None if one of them is no address: a value that only the cluster knows.
fn addresses(text: &str) -> Option<Vec<IpAddr>> {
    text.split(',').map(|one| one.trim().parse().ok()).collect()
}

fn of_service(placed: Placed<'_>) -> Option<Claim<'_>> {
    let spec = placed.field(&["spec"]);
    let class = spec["loadBalancerClass"].as_str();
    if spec["type"] != "LoadBalancer" || class.is_some_and(|class| !class.contains("cilium")) {
        return None;
    }
    let ports = spec["ports"].as_array().into_iter().flatten();
    let ports = ports.map(|port| Some((port["port"].as_u64()?, port["protocol"].as_str().unwrap_or("TCP"))));
    let ports: Option<Vec<_>> = ports.collect();
    let own = placed.object.metadata.annotations.as_ref();
    let annotation = |name: &str| own.and_then(|all| all.get(name)).map(String::as_str);
    let namespace = placed.object.metadata.namespace.as_deref().unwrap_or_default();
    of_annotations(placed, annotation, "metadata.annotations", namespace, ports.clone()).or_else(|| {
        Some(Claim {
            placed,
            path: "spec.loadBalancerIP".to_owned(),
            addresses: addresses(spec["loadBalancerIP"].as_str()?)?,
            balancer: Balancer::Any,
            namespace,
            sharing: SHARING.iter().find_map(|name| annotation(name)),
            across: None,
            ports,
        })
    })
}

/// Cilium gives the addresses of a Gateway to the Service that it makes for it.
fn of_gateway(placed: Placed<'_>) -> Option<Claim<'_>> {
    let namespace = placed.object.metadata.namespace.as_deref().unwrap_or_default();
    let ports = values_at(&placed.object.data, "spec.listeners[].port").into_iter();
    let ports: Vec<_> = ports.filter_map(|(_, port)| Some((port.as_u64()?, "TCP"))).collect();
    let annotations = placed.field(&["spec", "infrastructure", "annotations"]);
    let annotation = |name: &str| annotations[name].as_str();
    let path = "spec.infrastructure.annotations";
    of_annotations(placed, annotation, path, namespace, Some(ports.clone())).or_else(|| {
        let listed = values_at(&placed.object.data, "spec.addresses[]").into_iter();
        let ips = listed.filter(|(_, one)| one["type"].as_str().is_none_or(|kind| kind == "IPAddress"));
        let ips: Vec<_> = ips.map(|(_, one)| one["value"].as_str()).collect();
        let addresses: Option<Vec<IpAddr>> = ips.iter().map(|one| one.as_ref()?.parse().ok()).collect();
        Some(Claim {
            placed,
            path: "spec.addresses".to_owned(),
            addresses: addresses.filter(|all| !all.is_empty())?,
            balancer: Balancer::Any,
            namespace,
            sharing: SHARING.iter().find_map(|name| annotation(name)),
            across: ACROSS.iter().find_map(|name| annotation(name)),
            ports: Some(ports),
        })
    })
}

/// Addresses among the values of a release: `annotations` of a Service, wherever nothing around it turns it off.
fn of_release<'a>(placed: Placed<'a>, release: &'a Release) -> Vec<Claim<'a>> {
    let mut found = Vec::new();
    walk(placed, release, &release.values, "spec.values", &mut found);
    found
}

fn walk<'a>(
    placed: Placed<'a>,
    release: &'a Release,
    value: &'a Value,
    path: &str,
    found: &mut Vec<Claim<'a>>,
) {
    let Some(fields) = value.as_object() else { return };
    if value["enabled"] == false {
        return;
    }
    let annotation = |name: &str| value[name].as_str();
    found.extend(of_annotations(placed, annotation, path, &release.release_namespace, None));
    for (name, inner) in fields {
        walk(placed, release, inner, &format!("{path}.{name}"), found);
    }
}

/// All addresses that are asked for.
pub(super) fn claims(declared: &Declared) -> Vec<Claim<'_>> {
    // On the host network, Cilium makes no Service with an address for a Gateway.
    let on_host = known::cilium(declared)
        .is_some_and(|cilium| is_true(at(cilium.values, "gatewayAPI.hostNetwork.enabled")));
    let mut found = Vec::new();
    for placed in objects_of(declared) {
        let id = placed.id();
        match (id.group(), id.kind.as_str()) {
            ("", "Service") => found.extend(of_service(placed)),
            (listeners::GROUP, "Gateway") if !on_host => found.extend(of_gateway(placed)),
            ("helm.toolkit.fluxcd.io", "HelmRelease") => {
                let release = declared.releases.iter().find(|release| release.id == id);
                found.extend(release.map(|release| of_release(placed, release)).unwrap_or_default());
            }
            _ => {}
        }
    }
    found
}
