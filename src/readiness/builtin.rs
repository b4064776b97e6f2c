//! Kinds of Kubernetes itself. Ported from kstatus (`pkg/kstatus/status/core.go`), stricter where a
//! bootstrap needs it: Services wait for their address, nodes and APIServices have rules.

use super::Verdict;
use super::conditions::{Condition, condition, must_be_true, number, observed, text};
use crate::object::Object;

pub(super) fn deployment(object: &Object) -> Verdict {
    if let Some(progressing) = condition(object, "Progressing")
        && progressing.is_false()
        && progressing.reason() == "ProgressDeadlineExceeded"
    {
        return Verdict::never(progressing.told());
    }
    let status = &object.data["status"];
    let wanted = object.data["spec"]["replicas"].as_i64().unwrap_or(1);
    replicas(object, wanted, "updatedReplicas", "availableReplicas").and(
        if number(&status["replicas"]) > number(&status["updatedReplicas"]) {
            Verdict::not_yet("old replicas are still going away")
        } else {
            Verdict::Ready
        },
    )
}

pub(super) fn stateful_set(object: &Object) -> Verdict {
    let wanted = object.data["spec"]["replicas"].as_i64().unwrap_or(1);
    let updated = match text(&object.data["spec"]["updateStrategy"]["type"]) {
        "OnDelete" => "replicas",
        _ => "updatedReplicas",
    };
    replicas(object, wanted, updated, "readyReplicas")
}

pub(super) fn replica_set(object: &Object) -> Verdict {
    let wanted = object.data["spec"]["replicas"].as_i64().unwrap_or(1);
    replicas(object, wanted, "replicas", "availableReplicas")
}

pub(super) fn daemon_set(object: &Object) -> Verdict {
    let wanted = number(&object.data["status"]["desiredNumberScheduled"]);
    replicas(object, wanted, "updatedNumberScheduled", "numberAvailable")
}

fn replicas(object: &Object, wanted: i64, updated: &str, available: &str) -> Verdict {
    let status = &object.data["status"];
    // A workload without a status was not looked at by any controller yet.
    if status["observedGeneration"].is_null() {
        return Verdict::not_yet("its controller has not seen it yet");
    }
    let seen = observed(object);
    if !seen.is_ready() {
        return seen;
    }
    let (updated, available) = (number(&status[updated]), number(&status[available]));
    if updated < wanted {
        Verdict::not_yet(format!("{updated} of {wanted} updated"))
    } else if available < wanted {
        Verdict::not_yet(format!("{available} of {wanted} available"))
    } else {
        Verdict::Ready
    }
}

pub(super) fn pod(object: &Object) -> Verdict {
    let status = &object.data["status"];
    match text(&status["phase"]) {
        "Succeeded" => Verdict::Ready,
        "Failed" => Verdict::never(format!("failed: {}", text(&status["message"]))),
        _ => match waiting(object) {
            Some(reason) => Verdict::not_yet(reason),
            None => must_be_true(object, "Ready"),
        },
    }
}

/// What a container waits for: `ImagePullBackOff: …`.
pub(super) fn waiting(pod: &Object) -> Option<String> {
    let status = &pod.data["status"];
    let statuses = [&status["initContainerStatuses"], &status["containerStatuses"]];
    let mut containers = statuses.into_iter().filter_map(|list| list.as_array()).flatten();
    containers.find_map(|container| {
        let waiting = &container["state"]["waiting"];
        let reason = waiting["reason"].as_str()?;
        let name = text(&container["name"]);
        let restarts = number(&container["restartCount"]);
        Some(match (restarts, text(&waiting["message"])) {
            (0, "") => format!("{name}: {reason}"),
            (0, message) => format!("{name}: {reason}: {message}"),
            (restarts, _) => format!("{name}: {reason} after {restarts} restarts"),
        })
    })
}

pub(super) fn node(object: &Object) -> Verdict {
    must_be_true(object, "Ready")
}

pub(super) fn service(object: &Object) -> Verdict {
    if object.data["spec"]["type"] != "LoadBalancer" || has_address(object) {
        return Verdict::Ready;
    }
    // Cilium says why it gives none (`operator/pkg/lbipam`).
    match condition(object, "cilium.io/IPAMRequestSatisfied") {
        Some(told) if told.is_false() => Verdict::not_yet(told.told()),
        _ => Verdict::not_yet("has no load-balancer address yet"),
    }
}

pub(super) fn has_address(service: &Object) -> bool {
    let ingress = service.data["status"]["loadBalancer"]["ingress"].as_array();
    ingress.is_some_and(|ingress| !ingress.is_empty())
}

pub(super) fn namespace(object: &Object) -> Verdict {
    match text(&object.data["status"]["phase"]) {
        "Active" => Verdict::Ready,
        phase => Verdict::not_yet(format!("is {phase}")),
    }
}

pub(super) fn claim(object: &Object) -> Verdict {
    match text(&object.data["status"]["phase"]) {
        "Bound" => Verdict::Ready,
        "Lost" => Verdict::never("has lost its volume"),
        phase => Verdict::not_yet(format!("is {phase}")),
    }
}

pub(super) fn job(object: &Object) -> Verdict {
    if let Some(failed) = condition(object, "Failed").filter(Condition::is_true) {
        return Verdict::never(failed.told());
    }
    match condition(object, "Complete") {
        Some(complete) if complete.is_true() => Verdict::Ready,
        _ => Verdict::not_yet("has not completed yet"),
    }
}

pub(super) fn crd(object: &Object) -> Verdict {
    if let Some(names) = condition(object, "NamesAccepted").filter(Condition::is_false) {
        return Verdict::never(names.told());
    }
    must_be_true(object, "Established")
}

pub(super) fn api_service(object: &Object) -> Verdict {
    must_be_true(object, "Available")
}
