//! Helpers of many rules.

use serde_json::Value;

use crate::scene::Inquiry;
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_readiness::{ready_endpoints, text};

/// The maximum length of a quoted message.
const LONGEST: usize = 240;

/// The first line of another program's message, truncated.
pub(super) fn line(said: &str) -> String {
    cut(said.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim())
}

/// Truncates a line to a readable length.
pub(super) fn cut(line: &str) -> String {
    if line.chars().count() <= LONGEST {
        return line.to_owned();
    }
    let start: String = line.chars().take(LONGEST).collect();
    format!("{}…", start.trim_end())
}

pub(super) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The text between two markers.
pub(super) fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    Some(text.split_once(before)?.1.split_once(after)?.0)
}

/// `a=1,b=2` of a map of labels.
pub(super) fn as_selector(labels: &Value) -> Option<String> {
    let labels = labels.as_object().filter(|labels| !labels.is_empty())?;
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={}", text(value))).collect();
    Some(pairs.join(","))
}

/// Whether an object has all these labels.
pub(super) fn has_labels(labels: &Value, wanted: &Value) -> bool {
    let Some(wanted) = wanted.as_object().filter(|wanted| !wanted.is_empty()) else { return false };
    wanted.iter().all(|(name, value)| labels[name.as_str()] == *value)
}

pub(super) fn label<'a>(object: &'a Object, name: &str) -> &'a str {
    object.metadata.labels.as_ref().and_then(|labels| labels.get(name)).map_or("", String::as_str)
}

/// Whether one object is a controller's child of another.
pub(super) fn is_owned_by(object: &Object, owner: &Object) -> bool {
    let Some(uid) = owner.metadata.uid.as_ref() else { return false };
    object.metadata.owner_references.iter().flatten().any(|reference| &reference.uid == uid)
}

/// The namespace of an object; empty for those without.
pub(super) fn namespace(id: &ObjectRef) -> &str {
    id.namespace.as_deref().unwrap_or_default()
}

/// All objects of a kind in a namespace.
pub(super) fn all_in(api_version: &str, kind: &str, namespace: &str) -> Selection {
    Selection::of(api_version, kind).within(namespace)
}

/// How many endpoints of a Service are ready; none while that is unknown.
pub(super) fn endpoints(inquiry: &Inquiry<'_>, service: &ObjectRef) -> Option<usize> {
    let slices = all_in("discovery.k8s.io/v1", "EndpointSlice", namespace(service))
        .labelled(&format!("kubernetes.io/service-name={}", service.name));
    let slices = inquiry.list(&slices)?;
    Some(slices.iter().map(|slice| ready_endpoints(slice)).sum())
}
