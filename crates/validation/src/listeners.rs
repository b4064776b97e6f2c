//! Gateway API: which parents a route names, and which listeners these have.

use serde_json::Value;

use crate::fleet::Placed;
use crate::known;
use crate::paths::values_at;
use bootstrapper_gitops::Declared;

/// The group of Gateway API.
pub(super) const GROUP: &str = "gateway.networking.k8s.io";

/// Kinds that have listeners.
pub(super) const WITH_LISTENERS: [&str; 2] = ["Gateway", "ListenerSet"];

/// A parentRef to something with listeners.
#[derive(Debug)]
pub(super) struct Parent<'a> {
    /// Where it is in the route.
    pub(super) path: String,
    pub(super) kind: &'a str,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    /// The name of the listener, if it names one.
    pub(super) listener: Option<&'a str>,
    /// The port of the listener, if it names one.
    pub(super) port: Option<u64>,
}

/// What a route attaches to, or a ListenerSet.
pub(super) fn parents(placed: Placed<'_>) -> Vec<Parent<'_>> {
    let id = placed.id();
    if id.group() != GROUP {
        return Vec::new();
    }
    let references = match id.kind.as_str() {
        "ListenerSet" => values_at(&placed.object.data, "spec.parentRef"),
        kind if kind.ends_with("Route") => values_at(&placed.object.data, "spec.parentRefs[]"),
        _ => return Vec::new(),
    };
    let own = placed.object.metadata.namespace.as_deref().unwrap_or_default();
    references
        .into_iter()
        .filter(|(_, parent)| parent["group"].as_str().is_none_or(|group| group == GROUP))
        .filter_map(|(path, parent)| {
            let kind = parent["kind"].as_str().unwrap_or("Gateway");
            WITH_LISTENERS.contains(&kind).then_some(Parent {
                path,
                kind,
                namespace: parent["namespace"].as_str().unwrap_or(own),
                name: parent["name"].as_str()?,
                listener: parent["sectionName"].as_str(),
                port: parent["port"].as_u64(),
            })
        })
        .collect()
}

/// The object that a parentRef names, if the cluster declares it.
pub(super) fn parent<'a>(declared: &'a Declared, parent: &Parent<'_>) -> Option<Placed<'a>> {
    known::find(declared, GROUP, parent.kind, Some(parent.namespace), parent.name)
}

/// Every listener of an object, with its path.
pub(super) fn listeners(placed: Placed<'_>) -> Vec<(String, &Value)> {
    values_at(&placed.object.data, "spec.listeners[]")
}
