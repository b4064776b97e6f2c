//! How kustomize-controller applies an object (`internal/controller/kustomization_controller.go` of
//! v1.9.6, and `manager_apply.go` of `fluxcd/pkg/ssa` v0.76.2). Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;

use bootstrapper_core::object::{Object, ObjectRef};

/// Its field manager.
pub(crate) const MANAGER: &str = "kustomize-controller";

const GROUP: &str = "kustomize.toolkit.fluxcd.io";

/// The object as it is applied: with ownership labels.
pub(super) fn as_applied(object: &Object, by: &ObjectRef) -> Object {
    let mut object = object.clone();
    object.data.as_object_mut().map(|fields| fields.remove("status"));
    let labels = object.metadata.labels.get_or_insert_default();
    labels.insert(format!("{GROUP}/name"), by.name.clone());
    labels.insert(format!("{GROUP}/namespace"), by.namespace.clone().unwrap_or_default());
    object
}

/// Whether it is not changed: an annotation of the desired or the live object says so.
pub(super) fn is_left_alone(desired: &Object, live: &Object) -> bool {
    let either = |key: &str, value: &str| says(desired, key, value) || says(live, key, value);
    either("reconcile", "disabled") || either("ssa", "Ignore") || says(desired, "ssa", "IfNotPresent")
}

/// Whether it is deleted and recreated if an immutable field differs.
pub(super) fn is_forced(kustomization: &Object, desired: &Object, live: &Object) -> bool {
    kustomization.data["spec"]["force"] == true
        || says(desired, "force", "enabled")
        || says(live, "force", "enabled")
}

/// Whether the controller takes over an entry of managed fields before it applies.
pub(super) fn is_taken(entry: &ManagedFieldsEntry, desired: &Object, live: &Object) -> bool {
    let manager = entry.manager.as_deref().unwrap_or_default();
    let is_update = entry.operation.as_deref() == Some("Update");
    let is_whole = entry.subresource.as_deref().unwrap_or_default().is_empty();
    is_whole
        && !(is_merged(desired) || is_merged(live))
        && (manager.starts_with("kubectl")
            || (is_update && (manager.starts_with("before-first-apply") || manager == MANAGER)))
}

/// Whether it is applied regardless of field ownership: no other manager's entry is taken over.
pub(crate) fn is_merged(object: &Object) -> bool {
    says(object, "ssa", "Merge")
}

/// Whether a label or an annotation has this value, regardless of case.
fn says(object: &Object, key: &str, value: &str) -> bool {
    let key = format!("{GROUP}/{key}");
    [&object.metadata.labels, &object.metadata.annotations]
        .into_iter()
        .flatten()
        .filter_map(|map| map.get(&key))
        .any(|found| found.eq_ignore_ascii_case(value))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(annotations: &Value) -> Object {
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "annotations": annotations},
        }))
        .unwrap()
    }

    #[test]
    fn an_object_may_say_how_it_is_applied() {
        let plain = object(&json!({}));
        let saying = |key: &str, value: &str| object(&json!({format!("{GROUP}/{key}"): value}));
        for (desired, live, expected) in [
            (plain.clone(), plain.clone(), false),
            (saying("reconcile", "disabled"), plain.clone(), true),
            (plain.clone(), saying("reconcile", "Disabled"), true),
            (saying("ssa", "IfNotPresent"), plain.clone(), true),
            (plain.clone(), saying("ssa", "IfNotPresent"), false),
            (saying("ssa", "ignore"), plain.clone(), true),
            (saying("ssa", "Merge"), plain.clone(), false),
        ] {
            assert_eq!(is_left_alone(&desired, &live), expected, "{desired:?} {live:?}");
        }
        assert!(is_forced(&plain, &saying("force", "enabled"), &plain) && !is_forced(&plain, &plain, &plain));
    }

    #[test]
    fn entries_of_kubectl_are_taken_over() {
        let entry = |manager: &str, operation: &str, subresource: &str| -> ManagedFieldsEntry {
            serde_json::from_value(
                json!({"manager": manager, "operation": operation, "subresource": subresource}),
            )
            .unwrap()
        };
        let plain = object(&json!({}));
        for (manager, operation, subresource, expected) in [
            ("kubectl-bootstrapper", "Apply", "", true),
            ("kubectl-edit", "Update", "", true),
            ("kubectl-bootstrapper", "Apply", "status", false),
            ("before-first-apply", "Update", "", true),
            (MANAGER, "Update", "", true),
            (MANAGER, "Apply", "", false),
            ("helm", "Update", "", false),
        ] {
            let taken = is_taken(&entry(manager, operation, subresource), &plain, &plain);
            assert_eq!(taken, expected, "{manager} {operation} {subresource}");
        }
        let merging = object(&json!({format!("{GROUP}/ssa"): "Merge"}));
        assert!(!is_taken(&entry("kubectl-edit", "Update", ""), &merging, &plain));
    }

    #[test]
    fn its_owner_is_written_on_it() {
        let by = ObjectRef::namespaced("x/v1", "Kustomization", "flux-system", "apps");
        let labels = as_applied(&object(&json!({})), &by).metadata.labels.unwrap();
        assert_eq!(labels[&format!("{GROUP}/name")], "apps");
        assert_eq!(labels[&format!("{GROUP}/namespace")], "flux-system");
    }
}
