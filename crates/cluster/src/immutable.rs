//! Immutable fields: detection, and how to change them anyway.

use kube::core::Status;

/// The API server's messages about immutable fields.
const WORDS: [&str; 5] =
    ["immutable", "may not be changed", "may not change", "cannot be changed", "updates to"];

/// The immutable fields in an error; none if it is about something else as well.
pub(super) fn immutable_fields(status: &Status) -> Vec<String> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let says = |message: &str| WORDS.iter().any(|words| message.contains(words));
    let (immutable, others): (Vec<_>, Vec<_>) = causes.partition(|cause| says(&cause.message));
    if others.is_empty() {
        immutable.into_iter().map(|cause| cause.field.clone()).collect()
    } else {
        Vec::new()
    }
}

/// How to change them without losing data.
pub(super) fn remedy_for(kind: &str) -> String {
    let again = "then run again to recreate it";
    match kind {
        "Deployment" | "DaemonSet" | "StatefulSet" | "ReplicaSet" => format!(
            "`kubectl delete --cascade=orphan` keeps its pods running; {again}, which adopts the pods if its selector still matches them"
        ),
        "Job" => format!("delete the Job (and its pods), {again}"),
        "PersistentVolumeClaim" => {
            "keep the old value; to change it, declare a second claim, copy the data, and only then delete this one".to_owned()
        }
        "PersistentVolume" => {
            "keep the old value; set the reclaim policy to Retain before you delete a volume, or its data is lost".to_owned()
        }
        "StorageClass" => format!("delete the class, {again}; its volumes are kept"),
        "Service" => format!(
            "keep the old value; or delete the Service, {again}, which assigns another address unless one is declared"
        ),
        "RoleBinding" | "ClusterRoleBinding" => {
            format!("delete the binding, {again}; until then its subjects lose its permissions")
        }
        "ConfigMap" | "Secret" => {
            format!("declare it under another name; or delete it, {again}, and restart the pods that use it")
        }
        "CustomResourceDefinition" => {
            "keep the old value: deleting a CRD deletes all objects of its kind".to_owned()
        }
        _ => format!("keep the old value; or, if nothing depends on the object, delete it, {again}"),
    }
}
