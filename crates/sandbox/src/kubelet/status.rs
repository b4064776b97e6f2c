//! The status of a pod whose containers are local processes, as a kubelet reports it.

use std::sync::Arc;

use jiff::Timestamp;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::node::is_off;
use crate::site::Site;
use bootstrapper_core::object::{Object, ObjectRef};

/// The state of a process.
#[derive(Debug, Clone)]
pub(crate) enum ProcessState {
    /// It has not been started yet.
    Waiting,
    /// It was started.
    Started { since: Timestamp },
    /// It is healthy.
    Ready { since: Timestamp },
    /// It exited, and is restarted after a back-off.
    CrashLoop { exit_code: i32 },
    /// It could not be prepared.
    Unprepared { why: String },
}

/// A container, and the state of its process.
#[derive(Clone)]
pub(crate) struct ContainerProcess {
    /// As declared in the pod.
    pub container: Value,
    pub process_state: ProcessState,
    pub restarts: u32,
}

/// The address of a pod.
#[derive(Clone, Copy)]
pub(crate) enum PodAddress<'a> {
    /// Its node's address.
    OfNode,
    /// Its own address, once the network plugin has assigned it.
    Own(Option<&'a str>),
}

/// Sends statuses again that differ from the API server's.
pub(crate) async fn resend_pod_status(site: Arc<Site>, pods: Vec<Arc<Object>>) {
    for pod in pods {
        let id = ObjectRef::of(&pod);
        let Some(status) =
            site.statuses.of(&id).filter(|status| readiness(status) != readiness(&pod.data["status"]))
        else {
            continue;
        };
        if !node_of(&site, &pod).await.as_ref().is_some_and(is_off) {
            send(&site, &id, &status).await;
        }
    }
}

fn readiness(status: &Value) -> &str {
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let mut ready = conditions.filter(|condition| condition["type"] == "Ready");
    ready.find_map(|condition| condition["status"].as_str()).unwrap_or("False")
}

/// Updates the status, unless the node is down. A deleted pod is no error.
pub(crate) async fn update_pod_status(
    site: &Site,
    pod: &Object,
    address: PodAddress<'_>,
    containers: &[ContainerProcess],
) {
    let node = node_of(site, pod).await;
    if node.as_ref().is_some_and(is_off) {
        return;
    }
    let host = host_address(node.as_ref());
    let address = match address {
        PodAddress::OfNode => Some(host.as_str()),
        PodAddress::Own(address) => address,
    };
    let id = ObjectRef::of(pod);
    let status = status(containers, &host, address);
    site.statuses.set(id.clone(), status.clone());
    send(site, &id, &status).await;
}

async fn node_of(site: &Site, pod: &Object) -> Option<Object> {
    let name = pod.data["spec"]["nodeName"].as_str().unwrap_or_default();
    site.cluster.get(&ObjectRef::cluster_scoped("v1", "Node", name)).await.ok().flatten()
}

async fn send(site: &Site, id: &ObjectRef, status: &Value) {
    let patch = Patch::Strategic(json!({"status": status}));
    if let Err(error) = pods(site, id).patch_status(&id.name, &PatchParams::default(), &patch).await {
        tracing::debug!(pod = %id, %error, "cannot update its status");
    }
}

/// Deletes a pod whose processes have exited.
pub(crate) async fn delete_pod(site: &Site, pod: &Object) {
    let id = ObjectRef::of(pod);
    site.statuses.forget(&id);
    let now = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
    let _ = pods(site, &id).delete(&id.name, &now).await;
}

fn pods(site: &Site, id: &ObjectRef) -> Api<k8s_openapi::api::core::v1::Pod> {
    Api::namespaced(site.cluster.client(), id.namespace.as_deref().unwrap_or_default())
}

fn host_address(node: Option<&Object>) -> String {
    let addresses = node.and_then(|node| node.data["status"]["addresses"].as_array());
    let internal = addresses.into_iter().flatten().find(|address| address["type"] == "InternalIP");
    internal.and_then(|address| address["address"].as_str()).unwrap_or("127.0.0.1").to_owned()
}

fn status(containers: &[ContainerProcess], host: &str, address: Option<&str>) -> Value {
    let now = written(Timestamp::now());
    let is_ready =
        containers.iter().all(|container| matches!(container.process_state, ProcessState::Ready { .. }));
    let word = if is_ready { "True" } else { "False" };
    let condition =
        |kind: &str, status: &str| json!({"type": kind, "status": status, "lastTransitionTime": now});
    let has_address = if address.is_some() { "True" } else { "False" };
    let mut status = json!({
        "phase": if address.is_some() { "Running" } else { "Pending" },
        "hostIP": host,
        "startTime": now,
        "conditions": [
            condition("PodReadyToStartContainers", has_address), condition("Initialized", has_address),
            condition("Ready", word), condition("ContainersReady", word),
        ],
        "containerStatuses": containers.iter().map(|container| container_status(container, &now)).collect::<Vec<_>>(),
    });
    if let Some(address) = address {
        status["podIP"] = address.into();
        status["podIPs"] = json!([{"ip": address}]);
    }
    status
}

/// The format of Kubernetes' timestamps.
pub(crate) fn written(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn container_status(
    ContainerProcess { container, process_state, restarts }: &ContainerProcess,
    now: &str,
) -> Value {
    let is_ready = matches!(process_state, ProcessState::Ready { .. });
    let state = match process_state {
        ProcessState::Started { since } | ProcessState::Ready { since } => {
            json!({"running": {"startedAt": written(*since)}})
        }
        ProcessState::CrashLoop { .. } => {
            json!({"waiting": {"reason": "CrashLoopBackOff", "message": "the process exited"}})
        }
        ProcessState::Waiting => json!({"waiting": {"reason": "ContainerCreating"}}),
        ProcessState::Unprepared { why } => {
            json!({"waiting": {"reason": "CreateContainerConfigError", "message": why}})
        }
    };
    let mut reported = json!({
        "name": container["name"], "image": container["image"], "imageID": "", "ready": is_ready,
        "started": is_ready, "restartCount": restarts, "state": state,
    });
    if let ProcessState::CrashLoop { exit_code } = process_state {
        reported["lastState"] =
            json!({"terminated": {"exitCode": exit_code, "reason": "Error", "finishedAt": now}});
    }
    reported
}
