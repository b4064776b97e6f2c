//! Flux's readiness: kstatus, ported from `fluxcd/cli-utils` v1.2.3 (`pkg/kstatus/status`), and compared with
//! it in `tests/offline/readiness.rs`. Our own rules may report an object ready later than this, never
//! earlier.

mod core;
mod fields;
mod workloads;

use fields::{Malformed, conditions, integer};
use jiff::Timestamp;

use super::Verdict;
use bootstrapper_core::object::{Object, ObjectRef};

/// The states of kstatus, with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Current: as in its spec.
    Current,
    /// In progress.
    InProgress(String),
    /// Failed.
    Failed(String),
    /// Terminating.
    Terminating,
    /// Its status is malformed.
    Unknown(String),
}

/// The state of an object at the time `now` (`Compute`).
pub fn status(object: &Object, now: Timestamp) -> Status {
    compute(object, now).unwrap_or_else(|Malformed(field)| Status::Unknown(format!("cannot read {field}")))
}

impl From<Status> for Verdict {
    fn from(status: Status) -> Self {
        match status {
            Status::Current => Self::Ready,
            Status::InProgress(why) | Status::Unknown(why) => Self::not_yet(why),
            Status::Failed(why) => Self::never(why),
            Status::Terminating => Self::not_yet("is being deleted"),
        }
    }
}

fn compute(object: &Object, now: Timestamp) -> Result<Status, Malformed> {
    if let Some(general) = general(object)? {
        return Ok(general);
    }
    let id = ObjectRef::of(object);
    match (id.group(), id.kind.as_str()) {
        ("", "Service") => Ok(core::service(object)),
        ("", "Pod") => core::pod(object, now),
        ("", "PersistentVolumeClaim") => Ok(core::claim(object)),
        ("", "Secret" | "ConfigMap") | ("policy", "PodDisruptionBudget") | ("batch", "CronJob") => {
            Ok(Status::Current)
        }
        ("batch", "Job") => core::job(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => core::crd(object),
        ("apps", "StatefulSet") => Ok(workloads::stateful_set(object)),
        ("apps" | "extensions", "DaemonSet") => workloads::daemon_set(object),
        ("apps" | "extensions", "Deployment") => workloads::deployment(object),
        ("apps" | "extensions", "ReplicaSet") => workloads::replica_set(object),
        _ => ready_condition(object),
    }
}

/// The checks for every kind (`checkGenericProperties`).
fn general(object: &Object) -> Result<Option<Status>, Malformed> {
    if object.metadata.deletion_timestamp.is_some() {
        return Ok(Some(Status::Terminating));
    }
    if let Some(generation) = object.metadata.generation
        && let Some(seen) = integer(object, "observedGeneration")?
        && seen != generation
    {
        return Ok(Some(Status::InProgress(
            "its controller has not observed the latest change yet".to_owned(),
        )));
    }
    Ok(conditions(object)?.iter().find_map(|condition| match condition.kind {
        "Reconciling" if condition.is_true() => Some(Status::InProgress(condition.describe())),
        "Stalled" if condition.is_true() => Some(Status::Failed(condition.describe())),
        _ => None,
    }))
}

/// The fallback (`checkReadyCondition`): without a condition `Ready`, an object is current.
fn ready_condition(object: &Object) -> Result<Status, Malformed> {
    let conditions = conditions(object)?;
    let ready =
        conditions.iter().filter(|condition| condition.kind == "Ready").find_map(|condition| match condition
            .status
        {
            "True" => Some(Status::Current),
            "False" | "Unknown" => Some(Status::InProgress(condition.describe())),
            _ => None,
        });
    Ok(ready.unwrap_or(Status::Current))
}
