//! How a Helm upgrade changes an object (`pkg/kube/client.go` of Helm v4.3.1). Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use bootstrapper_core::object::{Object, ObjectRef};

/// An object of an upgrade: in the old manifest, the new one, or both.
#[derive(Debug, PartialEq)]
pub(super) enum Due<'a> {
    /// It is applied; `stored` is its version in the old manifest, if any.
    Applied { wanted: &'a Object, stored: Option<&'a Object> },
    /// The new manifest does not have it.
    Deleted(&'a Object),
}

/// Joins two manifests by Helm's identity: group, kind, namespace and name.
pub(super) fn changes<'a>(stored: &'a [Object], wanted: &'a [Object]) -> Vec<Due<'a>> {
    let mut before: BTreeMap<_, &Object> = stored.iter().map(|object| (key(object), object)).collect();
    let mut changes: Vec<Due> =
        wanted.iter().map(|wanted| Due::Applied { wanted, stored: before.remove(&key(wanted)) }).collect();
    changes.extend(before.into_values().filter(|object| !is_kept(object)).map(Due::Deleted));
    changes
}

fn key(object: &Object) -> (String, String, Option<String>, String) {
    let id = ObjectRef::of(object);
    (id.group().to_owned(), id.kind, id.namespace, id.name)
}

/// Whether Helm keeps it in the cluster when it is removed from a release.
fn is_kept(object: &Object) -> bool {
    let annotations = object.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get("helm.sh/resource-policy")).is_some_and(|policy| policy == "keep")
}

/// Whether Helm knows the kind's Go type, and so does a three-way merge of old manifest, new manifest and live
/// object. For all other kinds it sends the difference of the manifests, regardless of the live object.
pub(super) fn is_typed(id: &ObjectRef) -> bool {
    const GROUPS: [&str; 20] = [
        "",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apps",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "extensions",
        "flowcontrol.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
        "storagemigration.k8s.io",
    ];
    GROUPS.contains(&id.group())
}

/// The JSON merge patch (RFC 7386) from `old` to `new`; none if they are equal.
pub(super) fn merge_patch(old: &Value, new: &Value) -> Option<Value> {
    let (Value::Object(before), Value::Object(after)) = (old, new) else {
        return (old != new).then(|| new.clone());
    };
    let mut patch = Map::new();
    for (key, value) in after {
        match before.get(key) {
            Some(old) => patch.extend(merge_patch(old, value).map(|part| (key.clone(), part))),
            None => drop(patch.insert(key.clone(), value.clone())),
        }
    }
    patch.extend(before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key.clone(), Value::Null)));
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// The fields that the old manifest set, the new one does not, and that still exist: Helm removes them. A merge
/// of the new manifest alone does not show that.
pub(super) fn removed(old: &Value, new: &Value, live: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk("", old, new, live, &mut found);
    found
}

fn walk(path: &str, old: &Value, new: &Value, live: &Value, found: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for (key, old) in old {
                let path = format!("{path}.{key}");
                match (new.get(key), live.get(key)) {
                    (Some(new), Some(live)) => walk(&path, old, new, live, found),
                    (None, Some(_)) if !old.is_null() => found.push(path),
                    _ => {}
                }
            }
        }
        // Lists may be merged by a key that only the type knows: a removal shows as a missing item in the new
        // list. Items at the same index are compared, if none was added.
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (at, (old, new)) in old.iter().zip(new).enumerate() {
                let path = format!("{path}[{at}]");
                if let Some(live) = live.get(at) {
                    walk(&path, old, new, live, found);
                }
            }
        }
        (Value::Array(old), Value::Array(new)) if new.len() < old.len() => {
            found.push(format!("{path} (of {} items {} go)", old.len(), old.len() - new.len()));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(kind: &str, name: &str, annotations: &Value) -> Object {
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": kind, "metadata": {"name": name, "annotations": annotations},
        }))
        .unwrap()
    }

    #[test]
    fn manifests_are_joined_object_by_object() {
        let (a, b) = (object("Service", "a", &json!({})), object("Service", "b", &json!({})));
        let keep = object("Secret", "k", &json!({"helm.sh/resource-policy": "keep"}));
        let stored = [a.clone(), b.clone(), keep];
        let wanted = [b.clone(), object("Service", "c", &json!({}))];
        assert_eq!(
            changes(&stored, &wanted),
            [
                Due::Applied { wanted: &wanted[0], stored: Some(&b) },
                Due::Applied { wanted: &wanted[1], stored: None },
                Due::Deleted(&a),
            ]
        );
    }

    #[test]
    fn a_merge_patch_says_what_differs_and_what_goes() {
        let old = json!({"a": 1, "b": {"c": 1, "d": 2}, "e": [1]});
        assert_eq!(merge_patch(&old, &old), None);
        let new = json!({"a": 1, "b": {"c": 2}, "e": [1, 2], "f": {}});
        assert_eq!(merge_patch(&old, &new), Some(json!({"b": {"c": 2, "d": null}, "e": [1, 2], "f": {}})));
    }

    #[test]
    fn fields_missing_in_the_new_manifest_are_removed_if_present() {
        let old =
            json!({"spec": {"limits": {"cpu": 1}, "gone": 1, "list": [{"x": 1, "y": 2}], "short": [1, 2]}});
        let new = json!({"spec": {"list": [{"x": 1}], "short": [1]}});
        let live = json!({"spec": {"limits": {"cpu": 1}, "list": [{"x": 1, "y": 2}], "short": [1, 2]}});
        assert_eq!(
            removed(&old, &new, &live),
            [".spec.limits", ".spec.list[0].y", ".spec.short (of 2 items 1 go)"]
        );
        assert_eq!(removed(&old, &old, &live), Vec::<String>::new());
    }

    #[test]
    fn kinds_of_crds_are_not_typed() {
        let of = |api_version: &str| is_typed(&ObjectRef::cluster_scoped(api_version, "X", "x"));
        assert!(of("v1") && of("apps/v1") && of("networking.k8s.io/v1"));
        assert!(!of("gateway.networking.k8s.io/v1") && !of("cilium.io/v2"));
    }
}
