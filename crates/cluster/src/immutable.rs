//! Fields that cannot change: which, and how to get to what is wanted all the same.

use kube::core::Status;

/// What the API server says of a field that cannot change, in all the forms that it has.
const WORDS: [&str; 5] =
    ["immutable", "may not be changed", "may not change", "cannot be changed", "updates to"];

/// The fields of an answer that cannot change; none if it is about something else as well.
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

/// How to get there without losing what must not be lost.
pub(super) fn way_out(kind: &str) -> String {
    let again = "then run again: it is made anew";
    match kind {
        "Deployment" | "DaemonSet" | "StatefulSet" | "ReplicaSet" => format!(
            "`kubectl delete --cascade=orphan` leaves its pods running; {again}, and takes the pods over if its selector still matches them"
        ),
        "Job" => format!("delete the Job (its pods go with it), {again}"),
        "PersistentVolumeClaim" => {
            "keep the old value; to have the new one, declare a second claim, copy the data, and only then delete this one".to_owned()
        }
        "PersistentVolume" => {
            "keep the old value; set the reclaim policy to Retain before you delete a volume, or its data are gone".to_owned()
        }
        "StorageClass" => format!("delete the class, {again}; volumes that it has made stay"),
        "Service" => format!(
            "keep the old value; or delete the Service, {again}, with another address unless the declaration names one"
        ),
        "RoleBinding" | "ClusterRoleBinding" => {
            format!("delete the binding, {again}; until then its subjects may do nothing by it")
        }
        "ConfigMap" | "Secret" => {
            format!("declare it by another name; or delete it, {again}, and restart the pods that use it")
        }
        "CustomResourceDefinition" => {
            "keep the old value: deleting a CRD deletes every object of its kind".to_owned()
        }
        _ => format!("keep the old value; or, if nothing depends on the object, delete it, {again}"),
    }
}
