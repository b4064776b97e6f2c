//! What a container waits for, or why it does not keep running.

use serde_json::Value;

use super::crashes::{self, Ended};
use super::facts::{line, list, namespace};
use super::{images, runtime, words};
use crate::finding::{Code, Finding, Insight};
use crate::scene::Inquiry;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_readiness::{number, text};

pub(super) static NO_CONFIG: Code = Code {
    code: "BS-POD-003",
    title: "A container references a Secret or ConfigMap that is not found",
    why: "Its environment references a Secret, ConfigMap or key that does not exist in the pod's namespace",
    tell: "The container waits with CreateContainerConfigError; the message names the missing object or key",
    fix: "declare it in the pod's namespace; secrets that the bootstrap seeds are declared in bootstrapper.yaml",
};

pub(super) static CANNOT_START: Code = Code {
    code: "BS-POD-004",
    title: "A container cannot start",
    why: "Its command does not exist in the image, or the container runtime rejects its settings",
    tell: "The container waits with RunContainerError or CreateContainerError, or terminated with StartError",
    fix: "compare `command` and `args` with the contents of the image",
};

pub(super) static PROBE_FAILS: Code = Code {
    code: "BS-POD-006",
    title: "A container runs but is not ready",
    why: "Its readiness or startup probe fails",
    tell: "The container runs, is not ready, and the event Unhealthy has the probe's output",
    fix: "read its log to find what it waits for; check the probe's port and path",
};

/// How many seconds a container's probes may fail after its start.
const WARM_UP: i64 = 30;

/// The first container with a finding; init containers come first.
pub(super) fn inspect(inquiry: &Inquiry<'_>, id: &ObjectRef, pod: &Object) -> Insight {
    let status = &pod.data["status"];
    let init = list(&status["initContainerStatuses"]).map(|one| (one, true));
    let rest = list(&status["containerStatuses"]).map(|one| (one, false));
    init.chain(rest)
        .map(|(container, is_init)| of_one(inquiry, id, pod, container, is_init))
        .find(|insight| !insight.is_empty())
        .unwrap_or_default()
}

fn of_one(inquiry: &Inquiry<'_>, id: &ObjectRef, pod: &Object, container: &Value, is_init: bool) -> Insight {
    let waiting = &container["state"]["waiting"];
    let (reason, message) = (text(&waiting["reason"]), text(&waiting["message"]));
    let name = text(&container["name"]);
    match reason {
        "ErrImagePull"
        | "ImagePullBackOff"
        | "ErrImageNeverPull"
        | "InvalidImageName"
        | "ImageInspectError"
        | "RegistryUnavailable" => images::not_pulled(inquiry, id, pod, container),
        "CreateContainerConfigError" => {
            let own = Finding::new(&NO_CONFIG, format!("container {name} cannot start: {}", line(message)));
            Insight::from(own).join(Insight::waits_for(words::wanted(message, namespace(id))))
        }
        "RunContainerError" | "CreateContainerError" | "PreStartHookError" | "PostStartHookError" => {
            cannot_start(inquiry, pod, name, message)
        }
        "CrashLoopBackOff" => crash(inquiry, id, pod, container, is_init),
        "" => stays(inquiry, id, pod, container, is_init),
        _ => Insight::nothing(),
    }
}

fn cannot_start(inquiry: &Inquiry<'_>, pod: &Object, name: &str, message: &str) -> Insight {
    // A runtime calls a limit too low for its own start an error of the start.
    if message.contains("OOM-killed") {
        let what = format!("container {name} was killed at its memory limit while it started");
        return Finding::new(&crashes::OUT_OF_MEMORY, what).evidence(line(message)).into();
    }
    if let Some(refused) = runtime::refused(inquiry, pod, name, message) {
        return refused.into();
    }
    Finding::new(&CANNOT_START, format!("container {name} cannot start: {}", line(message))).into()
}

fn crash(inquiry: &Inquiry<'_>, id: &ObjectRef, pod: &Object, container: &Value, is_init: bool) -> Insight {
    let last = &container["lastState"]["terminated"];
    let last = if last.is_object() { last } else { &container["state"]["terminated"] };
    if text(&last["reason"]) == "StartError" || text(&last["reason"]) == "ContainerCannotRun" {
        return cannot_start(inquiry, pod, text(&container["name"]), text(&last["message"]));
    }
    let is_now = container["state"]["terminated"].is_object();
    crashes::inspect(inquiry, &Ended { id, pod, container, last, is_init, was_before: !is_now })
}

/// A container that runs, or has just terminated.
fn stays(inquiry: &Inquiry<'_>, id: &ObjectRef, pod: &Object, container: &Value, is_init: bool) -> Insight {
    let ended = &container["state"]["terminated"];
    if ended.is_object() {
        // A first crash does not count: a dependency may have become ready after it.
        let is_first =
            pod.data["spec"]["restartPolicy"] != "Never" && number(&container["restartCount"]) == 0;
        return if number(&ended["exitCode"]) == 0 || is_first {
            Insight::nothing()
        } else {
            crash(inquiry, id, pod, container, is_init)
        };
    }
    let running = &container["state"]["running"];
    if is_init || !running.is_object() || container["ready"] == true {
        return Insight::nothing();
    }
    if number(&container["restartCount"]) > 1 {
        return crash(inquiry, id, pod, container, is_init);
    }
    let failed = inquiry.events(id).into_iter().rev().find(|event| event.reason() == "Unhealthy");
    let Some(failed) = failed else { return Insight::nothing() };
    let (name, said) = (text(&container["name"]), line(failed.message()));
    let since = inquiry.seconds_since(&running["startedAt"]).unwrap_or(i64::MAX);
    let log = crashes::telling(inquiry.log(id, name, false));
    let mut finding = Finding::new(&PROBE_FAILS, format!("container {name} runs but is not ready: {said}"));
    if let Some(log) = log {
        finding = finding.evidence(format!("{name}: {log}"));
    }
    if since < WARM_UP { finding.transient().into() } else { finding.into() }
}
