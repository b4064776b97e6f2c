//! Pods, claims, Services, Jobs and CRDs.

use jiff::Timestamp;
use serde_json::Value;

use super::Status;
use super::fields::{Malformed, conditions, text};
use bootstrapper_core::object::Object;

/// How long a pod may be unscheduled before that is a failure (`ScheduleWindow`).
const SCHEDULE_WINDOW_SECONDS: i64 = 15;

pub(super) fn pod(object: &Object, now: Timestamp) -> Result<Status, Malformed> {
    let conditions = conditions(object)?;
    let in_progress = |why: &str| Ok(Status::InProgress(why.to_owned()));
    match text(object, "/status/phase", "") {
        "Succeeded" | "Failed" => Ok(Status::Current),
        "Running" if conditions.iter().any(|one| one.kind == "Ready" && one.is_true()) => Ok(Status::Current),
        "Running" => match crash_looping(object)? {
            Some(container) => Ok(Status::Failed(format!("{container} crashes at startup"))),
            None => in_progress("runs but is not ready"),
        },
        "Pending" => {
            let refused = conditions.iter().find(|one| one.kind == "PodScheduled" && one.status == "False");
            match refused {
                Some(refused) if refused.reason == "Unschedulable" => {
                    let created =
                        object.metadata.creation_timestamp.as_ref().map_or(Timestamp::MIN, |at| at.0);
                    let is_new = now.duration_since(created).as_secs() < SCHEDULE_WINDOW_SECONDS;
                    let why = refused.describe();
                    Ok(if is_new { Status::InProgress(why) } else { Status::Failed(why) })
                }
                _ => in_progress("is Pending"),
            }
        }
        "" => in_progress("not picked up by a kubelet yet"),
        _ => Err(Malformed("status.phase")),
    }
}

fn crash_looping(object: &Object) -> Result<Option<&str>, Malformed> {
    let malformed = || Malformed("status.containerStatuses");
    let statuses = match object.data["status"].get("containerStatuses") {
        None => return Ok(None),
        Some(statuses) => statuses.as_array().ok_or_else(malformed)?,
    };
    let is_looping = |status: &&Value| status["state"]["waiting"]["reason"] == "CrashLoopBackOff";
    Ok(statuses.iter().filter(is_looping).find_map(|status| status["name"].as_str()))
}

pub(super) fn claim(object: &Object) -> Status {
    match text(object, "/status/phase", "unknown") {
        "Bound" => Status::Current,
        phase => Status::InProgress(format!("is {phase}")),
    }
}

pub(super) fn service(object: &Object) -> Status {
    let is_balanced = text(object, "/spec/type", "ClusterIP") == "LoadBalancer";
    if is_balanced && text(object, "/spec/clusterIP", "").is_empty() {
        return Status::InProgress("has no cluster address yet".to_owned());
    }
    Status::Current
}

pub(super) fn job(object: &Object) -> Result<Status, Malformed> {
    for condition in conditions(object)?.iter().filter(|condition| condition.is_true()) {
        match condition.kind {
            "Complete" => return Ok(Status::Current),
            "Failed" => return Ok(Status::Failed(condition.describe())),
            _ => {}
        }
    }
    if text(object, "/status/startTime", "").is_empty() {
        return Ok(Status::InProgress("has not started yet".to_owned()));
    }
    Ok(Status::Current)
}

pub(super) fn crd(object: &Object) -> Result<Status, Malformed> {
    for condition in conditions(object)? {
        match (condition.kind, condition.status) {
            ("NamesAccepted", "False") => return Ok(Status::Failed(condition.describe())),
            ("Established", "False") if condition.reason != "Installing" => {
                return Ok(Status::Failed(condition.describe()));
            }
            ("Established", "True") => return Ok(Status::Current),
            _ => {}
        }
    }
    Ok(Status::InProgress("is not established yet".to_owned()))
}
