//! Built-in kinds for which kstatus reports ready too early for a bootstrap, or reports failures that may
//! recover.

use super::conditions::{Condition, condition, must_be_true, number, text};
use super::webhooks::required_webhooks;
use super::{Reason, Verdict};
use bootstrapper_core::object::Object;

/// A Deployment past its progress deadline can recover: CoreDNS in a cluster that had no network for an hour
/// starts once there is one.
pub(super) fn deployment(object: &Object) -> Verdict {
    match condition(object, "Progressing") {
        Some(stuck) if stuck.reason() == "ProgressDeadlineExceeded" => Verdict::not_yet(stuck.as_reason()),
        _ => Verdict::Ready,
    }
}

/// No desired pods means that no node has joined yet, unless the DaemonSet selects nodes.
pub(super) fn daemon_set(object: &Object) -> Verdict {
    let pods = &object.data["spec"]["template"]["spec"];
    let selects = pods["nodeSelector"]
        .as_object()
        .is_some_and(|labels| labels.keys().any(|label| label != "kubernetes.io/os"));
    let is_choosy = selects || !pods["affinity"]["nodeAffinity"].is_null();
    if object.data["status"]["desiredNumberScheduled"] == 0 && !is_choosy {
        return Verdict::not_yet("no node runs its pods yet");
    }
    Verdict::Ready
}

/// Pods must be ready even if a person replaces them manually.
pub(super) fn stateful_set(object: &Object) -> Verdict {
    if object.data["spec"]["updateStrategy"]["type"] != "OnDelete" {
        return Verdict::Ready;
    }
    let wanted = object.data["spec"]["replicas"].as_i64().unwrap_or(1);
    let ready = number(&object.data["status"]["readyReplicas"]);
    if ready < wanted {
        Verdict::not_yet(Reason::in_field("status.readyReplicas", format!("{ready} of {wanted} ready")))
    } else {
        Verdict::Ready
    }
}

/// A failed pod does not restart. A crashing or unschedulable pod may recover.
pub(super) fn pod(object: &Object) -> Verdict {
    let status = &object.data["status"];
    match text(&status["phase"]) {
        "Succeeded" => Verdict::Ready,
        "Failed" => {
            Verdict::never(Reason::in_field("status.phase", format!("failed: {}", text(&status["message"]))))
        }
        _ => match (waiting(object), condition(object, "PodScheduled").filter(Condition::is_false)) {
            (Some(reason), _) => Verdict::not_yet(reason),
            (None, Some(refused)) => Verdict::not_yet(refused.as_reason()),
            (None, None) => must_be_true(object, "Ready"),
        },
    }
}

/// The waiting reason of a container: `ImagePullBackOff: …`.
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
            // The number of restarts is omitted: another restart is not progress.
            (_, _) => format!("{name}: {reason} after restarts"),
        })
    })
}

pub(super) fn service(object: &Object) -> Verdict {
    if object.data["spec"]["type"] != "LoadBalancer" || has_address(object) {
        return Verdict::Ready;
    }
    // Cilium reports why it assigns none (`operator/pkg/lbipam`).
    match condition(object, "cilium.io/IPAMRequestSatisfied") {
        Some(told) if told.is_false() => Verdict::not_yet(told.as_reason()),
        _ => Verdict::not_yet(Reason::in_field(
            "status.loadBalancer.ingress",
            "has no load-balancer address yet",
        )),
    }
}

pub(super) fn has_address(service: &Object) -> bool {
    let ingress = service.data["status"]["loadBalancer"]["ingress"].as_array();
    ingress.is_some_and(|ingress| !ingress.is_empty())
}

pub(super) fn namespace(object: &Object) -> Verdict {
    match text(&object.data["status"]["phase"]) {
        "Active" => Verdict::Ready,
        "" => Verdict::not_yet(Reason::in_field("status.phase", "is not active yet")),
        phase => Verdict::not_yet(Reason::in_field("status.phase", format!("is {phase}"))),
    }
}

pub(super) fn claim(object: &Object) -> Verdict {
    match text(&object.data["status"]["phase"]) {
        "Lost" => Verdict::never(Reason::in_field("status.phase", "lost its volume")),
        _ => Verdict::Ready,
    }
}

/// A Job is ready only when it has finished.
pub(super) fn job(object: &Object) -> Verdict {
    if let Some(failed) = condition(object, "Failed").filter(Condition::is_true) {
        return Verdict::never(failed.as_reason());
    }
    match condition(object, "Complete") {
        Some(complete) if complete.is_true() => Verdict::Ready,
        _ if object.data["spec"]["suspend"] == true => Verdict::not_yet("is suspended"),
        _ => Verdict::not_yet("has not completed yet"),
    }
}

/// A webhook without a CA bundle cannot be called: cert-manager or similar injects it later. A webhook with
/// failure policy Ignore does not matter.
pub(super) fn webhooks(object: &Object) -> Verdict {
    required_webhooks(object)
        .filter(|webhook| text(&webhook["clientConfig"]["caBundle"]).is_empty())
        .map(|webhook| Verdict::not_yet(format!("{} has no CA yet", text(&webhook["name"]))))
        .collect()
}
