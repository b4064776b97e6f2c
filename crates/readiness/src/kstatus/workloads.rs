//! Workloads.

use super::Status;
use super::fields::{Malformed, conditions, integer, number, text};
use bootstrapper_core::object::Object;

/// The controller treats this as "no deadline".
const NO_DEADLINE: i64 = i32::MAX as i64;

pub(super) fn deployment(object: &Object) -> Result<Status, Malformed> {
    let has_deadline = number(object, "/spec/progressDeadlineSeconds", NO_DEADLINE) != NO_DEADLINE;
    let mut is_rolled_out = !has_deadline;
    let mut is_available = false;
    for condition in conditions(object)? {
        match condition.kind {
            "Progressing" if condition.reason == "ProgressDeadlineExceeded" => {
                return Ok(Status::Failed(condition.describe()));
            }
            "Progressing" => {
                is_rolled_out |= condition.is_true() && condition.reason == "NewReplicaSetAvailable";
            }
            "Available" => is_available |= condition.is_true(),
            _ => {}
        }
    }
    let wanted = number(object, "/spec/replicas", 1);
    let there = number(object, "/status/replicas", 0);
    let updated = number(object, "/status/updatedReplicas", 0);
    let available = number(object, "/status/availableReplicas", 0);
    let ready = number(object, "/status/readyReplicas", 0);
    Ok(too_few(there, wanted, "replicas exist")
        .or_else(|| too_few(updated, wanted, "updated"))
        .or_else(|| too_many(there, wanted))
        .or_else(|| too_few(available, updated, "available"))
        .or_else(|| too_few(ready, wanted, "ready"))
        .or_else(|| {
            (!is_rolled_out).then(|| Status::InProgress("its new pods are not available yet".to_owned()))
        })
        .or_else(|| (!is_available).then(|| Status::InProgress("is not available yet".to_owned())))
        .unwrap_or(Status::Current))
}

pub(super) fn stateful_set(object: &Object) -> Status {
    if text(object, "/spec/updateStrategy/type", "") == "OnDelete" {
        return Status::Current;
    }
    let wanted = number(object, "/spec/replicas", 1);
    let there = number(object, "/status/replicas", 0);
    let updated = number(object, "/status/updatedReplicas", 0);
    let unfinished = too_few(there, wanted, "replicas exist")
        .or_else(|| too_few(number(object, "/status/readyReplicas", 0), wanted, "ready"))
        .or_else(|| too_many(there, wanted));
    if let Some(unfinished) = unfinished {
        return unfinished;
    }
    match number(object, "/spec/updateStrategy/rollingUpdate/partition", -1) {
        -1 => too_few(number(object, "/status/currentReplicas", 0), wanted, "of the current revision")
            .or_else(|| {
                let is_one_revision =
                    text(object, "/status/currentRevision", "") == text(object, "/status/updateRevision", "");
                (!is_one_revision).then(|| Status::InProgress("update in progress".to_owned()))
            })
            .unwrap_or(Status::Current),
        partition => too_few(updated, wanted.saturating_sub(partition), "updated").unwrap_or(Status::Current),
    }
}

pub(super) fn replica_set(object: &Object) -> Result<Status, Malformed> {
    let failure = conditions(object)?.into_iter().find(|one| one.kind == "ReplicaFailure" && one.is_true());
    if let Some(failure) = failure {
        return Ok(Status::InProgress(failure.describe()));
    }
    let wanted = number(object, "/spec/replicas", 1);
    Ok(too_few(number(object, "/status/fullyLabeledReplicas", 0), wanted, "labelled")
        .or_else(|| too_few(number(object, "/status/availableReplicas", 0), wanted, "available"))
        .or_else(|| too_few(number(object, "/status/readyReplicas", 0), wanted, "ready"))
        .or_else(|| too_many(number(object, "/status/replicas", 0), wanted))
        .unwrap_or(Status::Current))
}

pub(super) fn daemon_set(object: &Object) -> Result<Status, Malformed> {
    let unseen = || Ok(Status::InProgress("not observed by its controller yet".to_owned()));
    if object.metadata.generation.is_none() || integer(object, "observedGeneration")?.is_none() {
        return unseen();
    }
    let wanted = number(object, "/status/desiredNumberScheduled", -1);
    if wanted == -1 {
        return unseen();
    }
    Ok(too_few(number(object, "/status/currentNumberScheduled", 0), wanted, "have a pod")
        .or_else(|| too_few(number(object, "/status/updatedNumberScheduled", 0), wanted, "updated"))
        .or_else(|| too_few(number(object, "/status/numberAvailable", 0), wanted, "available"))
        .or_else(|| too_few(number(object, "/status/numberReady", 0), wanted, "ready"))
        .unwrap_or(Status::Current))
}

fn too_few(there: i64, wanted: i64, what: &str) -> Option<Status> {
    (there < wanted).then(|| Status::InProgress(format!("{there} of {wanted} {what}")))
}

fn too_many(there: i64, wanted: i64) -> Option<Status> {
    (there > wanted)
        .then(|| Status::InProgress(format!("{} old replicas are terminating", there.saturating_sub(wanted))))
}
