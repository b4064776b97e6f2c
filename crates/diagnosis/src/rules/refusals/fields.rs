//! Fields that another manager set: conflicts of an apply, and leftovers that contradict what is declared.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::super::facts::line;
use super::codes::{CONFLICT, LEFT_OVER};
use crate::finding::Finding;
use crate::scene::Inquiry;
use bootstrapper_core::object::{Object, ObjectRef};

static CONFLICTS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"conflicts? with "([^"]+)"(?: with subresource "[^"]+")?(?: using [^:\s]+)?(?: at [0-9TZ:.+-]+)?:((?:\s*(?:- )?\.[^\s,]+)+)"#).ok()
});
/// `Deployment/web/front dry-run failed (Invalid): Deployment.apps "front" is invalid: spec.a: Forbidden: …`.
static INVALID: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"([A-Z][A-Za-z]+)(?:\.([a-z0-9.-]+))? "([^"]+)" is invalid: \[?([a-zA-Z][\w.\[\]"/-]*): (\w[^\n]*)"#).ok()
});
static PLACE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"([A-Z][A-Za-z]+)/([a-z0-9.-]+)/([a-z0-9.-]+)(?: namespace:\s?\S+)? dry-run failed").ok()
});

/// Managers that apply what is declared: fields of theirs are no leftovers.
const OF_THE_DECLARATION: [&str; 4] =
    ["kustomize-controller", "helm-controller", "kubectl-bootstrapper", "flux-client-side-apply"];
/// Words by which the API server says that two fields exclude each other.
const EXCLUSIVE: [&str; 6] = [
    "may not be specified when",
    "may not specify more than",
    "must not be specified",
    "not empty",
    "mutually exclusive",
    "only one of",
];

/// Fields that other managers own with other values.
pub(super) fn conflict(said: &str) -> Option<Finding> {
    if !said.contains("conflict with \"") && !said.contains("conflicts with \"") {
        return None;
    }
    let owned: Vec<String> = CONFLICTS
        .iter()
        .flat_map(|conflicts| conflicts.captures_iter(said))
        .map(|found| {
            let fields: Vec<&str> =
                found[2].split_whitespace().filter(|word| word.starts_with('.')).collect();
            format!("{} owns {}", &found[1], fields.join(", "))
        })
        .collect();
    if owned.is_empty() {
        return Some(Finding::new(&CONFLICT, line(said)));
    }
    let finding = Finding::new(&CONFLICT, format!("fields belong to another manager: {}", owned.join("; ")));
    Some(finding.evidence(line(said)))
}

/// A field of another manager, which an apply does not remove, and with which the declared ones are invalid.
pub(super) fn left_over(inquiry: &Inquiry<'_>, said: &str) -> Option<Finding> {
    let words = INVALID.as_ref()?.captures(said)?;
    let place = PLACE.as_ref()?.captures(said).filter(|place| place[3] == words[3])?;
    let (kind, group) = (&words[1], words.get(2).map_or("", |group| group.as_str()));
    let (path, complaint) = (&words[4], &words[5]);
    let id = ObjectRef::namespaced(&served(kind, group)?, kind, &place[2], &words[3]);
    let object = inquiry.found(&id)?;
    // Only of fields that exclude each other it is certain that one is a leftover: what was never applied has no
    // manager that would show that it is declared.
    if !EXCLUSIVE.iter().any(|sign| complaint.contains(sign)) {
        return None;
    }
    let parts = parts(path);
    let parent = parts.split_last().map(|(_, parent)| parent).filter(|parent| parent.len() > 1);
    // A default of an earlier type of rollout stays, too, and has no manager.
    let is_default = complaint.contains("when strategy `type` is") && !is_declared(object, &parts);
    let (field, manager) = match foreign(object, &parts) {
        Some((_, manager)) => (format!(".{path}"), manager),
        None if is_default => (format!(".{path}"), "the API server (as a default)".to_owned()),
        None => foreign(object, parent?)?,
    };
    let finding = Finding::new(
        &LEFT_OVER,
        format!(
            "{manager} left field {field} in {id}, which contradicts what is declared: {path}: {}",
            line(complaint)
        ),
    );
    Some(finding.evidence(line(said)).remedy(removal(&id, &field, complaint)))
}

/// The command that removes a field. A rollout's settings and its type can only be changed at once.
fn removal(id: &ObjectRef, field: &str, complaint: &str) -> String {
    let of =
        format!("{} {} -n {}", id.kind.to_lowercase(), id.name, id.namespace.as_deref().unwrap_or_default());
    if complaint.contains("when strategy `type` is") {
        let patch = r#"{"spec":{"strategy":{"type":"Recreate","rollingUpdate":null}}}"#;
        return format!("kubectl patch {of} --type=merge -p '{patch}'");
    }
    if field.contains('[') {
        return format!("remove the field by hand, since nothing declares it: kubectl edit {of}");
    }
    let patch = format!(r#"[{{"op":"remove","path":"{}"}}]"#, field.replace('.', "/"));
    format!("remove the field, since nothing declares it: kubectl patch {of} --type=json -p '{patch}'")
}

/// The API version of the built-in kinds whose fields exclude each other.
fn served(kind: &str, group: &str) -> Option<String> {
    let version = match (group, kind) {
        ("", _) => "v1",
        ("apps" | "batch" | "networking.k8s.io" | "policy", _) => "v1",
        ("autoscaling", _) => "v2",
        _ => return None,
    };
    Some(if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") })
}

/// `spec.containers[0].env` as `spec`, `containers`, `[]`, `env`.
fn parts(path: &str) -> Vec<String> {
    let mut parts = Vec::new();
    for part in path.split('.') {
        let (name, index) = part.split_once('[').map_or((part, false), |(name, _)| (name, true));
        parts.push(name.to_owned());
        if index {
            parts.push("[]".to_owned());
        }
    }
    parts
}

/// A field at or below a path that a foreign manager owns and the declaration's do not: its path, and its manager.
fn foreign(object: &Object, parts: &[String]) -> Option<(String, String)> {
    let owned = owned(object, parts);
    let (ours, others): (Vec<_>, Vec<_>) =
        owned.into_iter().partition(|(_, manager)| OF_THE_DECLARATION.contains(&manager.as_str()));
    others.into_iter().find(|(field, _)| !ours.iter().any(|(own, _)| own == field))
}

/// Whether a manager that applies what is declared owns a field there.
fn is_declared(object: &Object, parts: &[String]) -> bool {
    owned(object, parts).iter().any(|(_, manager)| OF_THE_DECLARATION.contains(&manager.as_str()))
}

/// The fields at or below a path, and their managers.
fn owned(object: &Object, parts: &[String]) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in object.metadata.managed_fields.iter().flatten() {
        let is_of_a_part = entry.subresource.as_deref().is_some_and(|part| !part.is_empty());
        let Some(set) = entry.fields_v1.as_ref().filter(|_| !is_of_a_part) else { continue };
        let mut fields = Vec::new();
        below(&set.0, parts, "", &mut fields);
        let manager = entry.manager.clone().unwrap_or_default();
        all.extend(fields.into_iter().map(|field| (field, manager.clone())));
    }
    all
}

/// The fields at a path, or directly below it.
fn below(set: &Value, parts: &[String], at: &str, found: &mut Vec<String>) {
    let Some(fields) = set.as_object() else { return };
    match parts.split_first() {
        Some((first, rest)) if first == "[]" => {
            for (key, value) in fields.iter().filter(|(key, _)| key.starts_with("k:")) {
                below(value, rest, &format!("{at}[{}]", key.trim_start_matches("k:")), found);
            }
        }
        Some((first, rest)) => {
            if let Some(value) = fields.get(&format!("f:{first}")) {
                below(value, rest, &format!("{at}.{first}"), found);
            }
        }
        None => {
            let names: Vec<&str> = fields.keys().filter_map(|key| key.strip_prefix("f:")).collect();
            if names.is_empty() {
                found.push(at.to_owned());
            }
            found.extend(names.into_iter().map(|name| format!("{at}.{name}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicts_are_read_with_manager_and_fields() {
        for (said, told) in [
            (
                r#"Apply failed with 1 conflict: conflict with "kubectl-edit" using apps/v1: .spec.replicas"#,
                "kubectl-edit owns .spec.replicas",
            ),
            (
                "Apply failed with 2 conflicts: conflicts with \"helm\" using apps/v1:\n- .spec.replicas\n- .spec.paused",
                "helm owns .spec.replicas, .spec.paused",
            ),
            (
                "Apply failed with 2 conflicts: conflict with \"a\" using v1: .data.x\nconflict with \"b\" with subresource \"scale\" using apps/v1: .spec.replicas",
                "a owns .data.x; b owns .spec.replicas",
            ),
        ] {
            assert_eq!(conflict(said).unwrap().cause, format!("fields belong to another manager: {told}"));
        }
        assert!(conflict("Operation cannot be fulfilled: the object has been modified").is_none());
    }
}
