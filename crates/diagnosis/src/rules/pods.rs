//! Pods: from their scheduling to their containers' logs.

use super::facts::{line, list, namespace};
use super::{containers, images, mesh, runtime, scheduling, words};
use crate::finding::{Code, Finding, Insight};
use crate::scene::Inquiry;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_readiness::{condition, text};
use serde_json::Value;

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
    &super::runtime::CAPABILITY,
    &super::runtime::NODE_REFUSES,
];

static NO_VOLUME: Code = Code {
    code: "BS-POD-005",
    title: "A volume cannot be mounted",
    why: "A Secret, ConfigMap or claim that the pod mounts does not exist, or the node's storage driver fails",
    tell: "The pod stays in ContainerCreating with the event FailedMount or FailedAttachVolume, which names the volume",
    fix: "declare what the volume references in the pod's namespace; for a storage driver, check its pods on that node",
};

static NO_SANDBOX: Code = Code {
    code: "BS-POD-007",
    title: "The network plugin cannot set up a pod's network",
    why: "The node's network agent is not running, or has no addresses left",
    tell: "The pod stays in ContainerCreating with the event FailedCreatePodSandBox",
    fix: "check the network agent's pod on that node, and whether the node's pod range is exhausted",
};

static ENDED: Code = Code {
    code: "BS-POD-008",
    title: "A pod has failed and is not restarted",
    why: "Its containers terminated with an error and its restartPolicy is not Always, or the kubelet evicted it",
    tell: "The phase is Failed; `status.reason` says Evicted, or a container's exit code is not 0",
    fix: "read its log, fix the error, and recreate the pod",
};

static STARTS: Code = Code {
    code: "BS-POD-009",
    title: "A pod is starting",
    why: "The kubelet prepares its volumes, images and network, or its readiness probe has not succeeded yet",
    tell: "No event or container reports a failure",
    fix: "wait; no action needed",
};

/// How many seconds a pod may take to start.
const PATIENCE: i64 = 120;

pub(super) fn inspect(inquiry: &Inquiry<'_>, id: &ObjectRef, pod: &Object) -> Insight {
    let status = &pod.data["status"];
    let is_ready = condition(pod, "Ready").is_some_and(|ready| ready.is_true());
    if is_ready {
        return mesh::of_running(inquiry, id, pod);
    }
    if status["phase"] == "Succeeded" || pod.metadata.deletion_timestamp.is_some() {
        return Insight::nothing();
    }
    if pod.data["spec"]["nodeName"].is_null() {
        return scheduling::inspect(inquiry, id, pod);
    }
    containers::inspect(inquiry, id, pod)
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
            "failed: {}",
            if said.is_empty() { "its containers terminated".into() } else { said.join(": ") }
        ),
    )
    .into()
}

/// The kubelet's events about volumes, images and network, while containers are being created.
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
        let refused = runtime::refused(inquiry, pod, "of the pod", event.message());
        return refused.map_or_else(|| volume(id, pod, event.message()), Insight::from);
    }
    if let Some(event) = newest(&["FailedCreatePodSandBox"]) {
        let node = node_of(pod);
        if let Some(refused) = runtime::refused(inquiry, pod, "of the pod's sandbox", event.message()) {
            return refused.into();
        }
        return Insight::from(Finding::new(&NO_SANDBOX, line(event.message())))
            .join(Insight::waits_for([node]));
    }
    images::pulling(inquiry, id, pod)
}

fn volume(id: &ObjectRef, pod: &Object, message: &str) -> Insight {
    let said = message.rsplit(" : ").next().unwrap_or(message);
    let said = if said.trim().is_empty() { message } else { said };
    // What `mount` itself says.
    let said = message.lines().find_map(|line| line.trim().strip_prefix("Output: ")).unwrap_or(said);
    let claims = list(&pod.data["spec"]["volumes"])
        .filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str())
        .map(|name| ObjectRef::namespaced("v1", "PersistentVolumeClaim", namespace(id), name));
    let volume = super::facts::between(message, "for volume \"", "\"").unwrap_or("of the pod");
    let wanted = words::wanted(message, namespace(id)).into_iter().chain(lacking(id, pod, message, volume));
    let own = Finding::new(&NO_VOLUME, format!("volume {volume} cannot be mounted: {}", line(said)))
        .evidence(format!("FailedMount: {}", line(message)));
    let own = if message.contains("Multi-Attach error") {
        own.remedy("a volume of one node (ReadWriteOnce) is still on another one: wait until its pod there has ended; with a Deployment, set `strategy: {type: Recreate}`; of a dead node, delete the pod or taint the node `node.kubernetes.io/out-of-service`")
    } else {
        own
    };
    Insight { findings: vec![own], waits_for: wanted.chain(claims).collect() }
}

/// The Secret or ConfigMap of a volume that references a key which it does not have: the message does not name it.
fn lacking(id: &ObjectRef, pod: &Object, message: &str, volume: &str) -> Vec<ObjectRef> {
    if !message.contains("non-existent secret key") && !message.contains("non-existent config key") {
        return Vec::new();
    }
    let volumes = list(&pod.data["spec"]["volumes"]).filter(|one| one["name"] == volume);
    let sources = volumes.flat_map(|one| std::iter::once(one).chain(list(&one["projected"]["sources"])));
    let named = |source: &Value| {
        let secret = ["secretName", "name"].into_iter().find_map(|key| source["secret"][key].as_str());
        let map = source["configMap"]["name"].as_str();
        let of = |kind: &str, name: &str| ObjectRef::namespaced("v1", kind, namespace(id), name);
        secret.map(|name| of("Secret", name)).or_else(|| map.map(|name| of("ConfigMap", name)))
    };
    sources.filter_map(named).collect()
}

fn node_of(pod: &Object) -> ObjectRef {
    ObjectRef::cluster_scoped("v1", "Node", text(&pod.data["spec"]["nodeName"]))
}

/// A pod on a node that is not ready waits for that node.
fn on_its_node(inquiry: &Inquiry<'_>, pod: &Object) -> Insight {
    let node = node_of(pod);
    let is_unready =
        inquiry.found(&node).and_then(|node| condition(node, "Ready")).is_some_and(|ready| !ready.is_true());
    if is_unready { Insight::waits_for([node]) } else { Insight::nothing() }
}

fn starting(inquiry: &Inquiry<'_>, pod: &Object) -> Insight {
    let since = inquiry.seconds_since(&pod.data["status"]["startTime"]).unwrap_or_else(|| inquiry.age(pod));
    if since > PATIENCE {
        return Insight::nothing();
    }
    let node = text(&pod.data["spec"]["nodeName"]);
    Finding::new(&STARTS, format!("starting on {node} for {since} s")).transient().into()
}
