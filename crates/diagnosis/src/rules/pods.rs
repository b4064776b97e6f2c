//! Pods: from where they are to run, to what their containers say.

use super::facts::{line, list, namespace};
use super::{containers, images, mesh, scheduling};
use crate::finding::{Code, Finding, Insight};
use crate::scene::Inquiry;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_readiness::{condition, text};

pub(super) const CODES: &[&Code] = &[
    &super::crashes::CRASHES,
    &super::crashes::OUT_OF_MEMORY,
    &super::crashes::KILLED,
    &containers::NO_CONFIG,
    &containers::CANNOT_START,
    &NO_VOLUME,
    &containers::PROBE_FAILS,
    &NO_SANDBOX,
    &ENDED,
    &STARTS,
];

static NO_VOLUME: Code = Code {
    code: "BS-POD-005",
    title: "A volume cannot be mounted",
    why: "A Secret, ConfigMap or claim that the pod mounts is not there, or the storage driver of the node fails",
    tell: "The pod stays in ContainerCreating with the event FailedMount or FailedAttachVolume, which names the volume",
    fix: "declare what the volume names, in the pod's namespace; for a storage driver, look at its pods on that node",
};

static NO_SANDBOX: Code = Code {
    code: "BS-POD-007",
    title: "The network plugin gives the pod no network",
    why: "The agent of the node is not up, or has no addresses left",
    tell: "The pod stays in ContainerCreating with the event FailedCreatePodSandBox",
    fix: "look at the network agent's pod on that node, and whether the node's pod range is used up",
};

static ENDED: Code = Code {
    code: "BS-POD-008",
    title: "A pod has failed and is not started again",
    why: "Its containers ended with an error and its restartPolicy is not Always, or its node evicted it",
    tell: "The phase is Failed; `status.reason` says Evicted, or a container's exit code is not 0",
    fix: "read its log, mend what it says, and make the pod anew",
};

static STARTS: Code = Code {
    code: "BS-POD-009",
    title: "A pod is starting",
    why: "Its volumes, images and network are being prepared, or it has not yet said that it is well",
    tell: "No event and no container says that something failed",
    fix: "nothing: wait",
};

/// How long a pod may take to start before that is worth more than a remark.
const PATIENCE: i64 = 120;

pub(super) fn look(inquiry: &Inquiry<'_>, id: &ObjectRef, pod: &Object) -> Insight {
    let status = &pod.data["status"];
    let is_ready = condition(pod, "Ready").is_some_and(|ready| ready.is_true());
    if is_ready {
        return mesh::of_running(inquiry, id, pod);
    }
    if status["phase"] == "Succeeded" || pod.metadata.deletion_timestamp.is_some() {
        return Insight::nothing();
    }
    if pod.data["spec"]["nodeName"].is_null() {
        return scheduling::look(inquiry, id, pod);
    }
    containers::look(inquiry, id, pod)
        .or(|| ended(pod))
        .or(|| preparing(inquiry, id, pod))
        .or(|| on_its_node(inquiry, pod))
        .or(|| starting(inquiry, pod))
}

fn ended(pod: &Object) -> Insight {
    let status = &pod.data["status"];
    if status["phase"] != "Failed" {
        return Insight::nothing();
    }
    let why = [text(&status["reason"]), text(&status["message"])].map(line);
    let said: Vec<String> = why.into_iter().filter(|said| !said.is_empty()).collect();
    Finding::new(
        &ENDED,
        format!(
            "has failed: {}",
            if said.is_empty() { "its containers ended".into() } else { said.join(": ") }
        ),
    )
    .into()
}

/// What the kubelet says of volumes, images and network, while containers are being created.
fn preparing(inquiry: &Inquiry<'_>, id: &ObjectRef, pod: &Object) -> Insight {
    let events = inquiry.events(id);
    let newest = |reasons: &[&str]| events.iter().rev().find(|event| reasons.contains(&event.reason()));
    let has_started = list(&pod.data["status"]["containerStatuses"])
        .chain(list(&pod.data["status"]["initContainerStatuses"]))
        .any(|container| {
            container["state"]["running"].is_object() || container["lastState"]["terminated"].is_object()
        });
    if has_started {
        return Insight::nothing();
    }
    if let Some(event) = newest(&["FailedMount", "FailedAttachVolume", "FailedMapVolume"]) {
        return volume(id, pod, event.message());
    }
    if let Some(event) = newest(&["FailedCreatePodSandBox"]) {
        let node = node_of(pod);
        return Insight::from(Finding::new(&NO_SANDBOX, line(event.message())))
            .join(Insight::waits_for([node]));
    }
    images::pulling(inquiry, id, pod)
}

fn volume(id: &ObjectRef, pod: &Object, message: &str) -> Insight {
    let said = message.rsplit(" : ").next().unwrap_or(message);
    let said = if said.trim().is_empty() { message } else { said };
    let claims = list(&pod.data["spec"]["volumes"])
        .filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str())
        .map(|name| ObjectRef::namespaced("v1", "PersistentVolumeClaim", namespace(id), name));
    let volume = super::facts::between(message, "for volume \"", "\"").unwrap_or("of the pod");
    Insight {
        findings: vec![
            Finding::new(&NO_VOLUME, format!("volume {volume} cannot be mounted: {}", line(said)))
                .evidence(format!("FailedMount: {}", line(message))),
        ],
        waits_for: claims.collect(),
    }
}

fn node_of(pod: &Object) -> ObjectRef {
    ObjectRef::cluster_scoped("v1", "Node", text(&pod.data["spec"]["nodeName"]))
}

/// A pod on a node that is not ready waits for that node.
fn on_its_node(inquiry: &Inquiry<'_>, pod: &Object) -> Insight {
    let node = node_of(pod);
    let is_unready =
        inquiry.there(&node).and_then(|node| condition(node, "Ready")).is_some_and(|ready| !ready.is_true());
    if is_unready { Insight::waits_for([node]) } else { Insight::nothing() }
}

fn starting(inquiry: &Inquiry<'_>, pod: &Object) -> Insight {
    let since = inquiry.seconds_since(&pod.data["status"]["startTime"]).unwrap_or_else(|| inquiry.age(pod));
    if since > PATIENCE {
        return Insight::nothing();
    }
    let node = text(&pod.data["spec"]["nodeName"]);
    Finding::new(&STARTS, format!("is starting on {node} for {since} s")).passes().into()
}
