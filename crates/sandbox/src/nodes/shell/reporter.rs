//! The status of a pod's containers, as a kubelet reports it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::kubelet::{Events, written};
use crate::site::Site;
use bootstrapper_core::object::{Object, ObjectRef};

/// The state of a container.
#[derive(Debug, Clone)]
pub(super) enum State {
    Waiting { reason: &'static str, message: String },
    Running { since: String },
    Ended(Value),
}

#[derive(Debug, Clone)]
struct Container {
    state: State,
    last: Option<Value>,
    restarts: u32,
    is_ready: bool,
}

impl Default for Container {
    fn default() -> Self {
        let state = State::Waiting { reason: "ContainerCreating", message: String::new() };
        Self { state, last: None, restarts: 0, is_ready: false }
    }
}

/// Reports the status of one pod.
pub(super) struct StatusReporter<'a> {
    site: &'a Site,
    pod: &'a Object,
    id: ObjectRef,
    began: String,
    containers: Mutex<HashMap<String, Container>>,
    pub(super) events: Events,
}

/// The declared containers in one list.
pub(super) fn list<'a>(pod: &'a Object, list: &str) -> impl Iterator<Item = &'a Value> {
    pod.data["spec"][list].as_array().into_iter().flatten()
}

pub(super) fn now() -> String {
    written(jiff::Timestamp::now())
}

impl<'a> StatusReporter<'a> {
    pub(super) fn of(site: &'a Site, pod: &'a Object) -> Self {
        let id = ObjectRef::of(pod);
        let events = Events::of(&site.cluster, pod);
        Self { site, pod, id, began: now(), containers: Mutex::default(), events }
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Container) -> bool) -> bool {
        let mut containers = self.containers.lock().unwrap_or_else(PoisonError::into_inner);
        change(containers.entry(name.to_owned()).or_default())
    }

    pub(super) async fn set(&self, name: &str, state: State) {
        self.change(name, |container| {
            container.is_ready = false;
            container.state = state;
            true
        });
        self.update_status().await;
    }

    pub(super) async fn ready(&self, name: &str, is_ready: bool) {
        let is_news =
            self.change(name, |container| std::mem::replace(&mut container.is_ready, is_ready) != is_ready);
        if is_news {
            self.update_status().await;
        }
    }

    pub(super) async fn ended(&self, name: &str, (code, reason, message): (i32, &str, &str), began: &str) {
        let ended = json!({"exitCode": code, "reason": reason, "message": message, "startedAt": began, "finishedAt": now()});
        self.change(name, |container| {
            container.last = Some(ended.clone());
            true
        });
        self.set(name, State::Ended(ended)).await;
    }

    pub(super) fn restarts(&self, name: &str) {
        self.change(name, |container| {
            container.restarts += 1;
            true
        });
    }

    /// Updates the whole status. A deleted pod is no error.
    pub(super) async fn update_status(&self) {
        let status = self.status();
        let pods: Api<Pod> =
            Api::namespaced(self.site.cluster.client(), self.id.namespace.as_deref().unwrap_or_default());
        let patch = Patch::Strategic(json!({"status": status}));
        if let Err(error) = pods.patch_status(&self.id.name, &PatchParams::default(), &patch).await {
            tracing::debug!(pod = %self.id, %error, "cannot update its status");
        }
    }

    fn status(&self) -> Value {
        let containers = self.containers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let of = |declared: &Value| {
            containers.get(declared["name"].as_str().unwrap_or_default()).cloned().unwrap_or_default()
        };
        let init: Vec<(Value, Container)> =
            list(self.pod, "initContainers").map(|one| (one.clone(), of(one))).collect();
        let main: Vec<(Value, Container)> =
            list(self.pod, "containers").map(|one| (one.clone(), of(one))).collect();
        let is_prepared =
            init.iter().all(|(_, one)| matches!(&one.state, State::Ended(end) if end["exitCode"] == 0));
        let has_ended = |one: &Container| matches!(one.state, State::Ended(_));
        let is_final = self.pod.data["spec"]["restartPolicy"] == "Never"
            || self.pod.data["spec"]["restartPolicy"] == "OnFailure";
        let failed = |one: &Container| matches!(&one.state, State::Ended(end) if end["exitCode"] != 0);
        let never = self.pod.data["spec"]["restartPolicy"] == "Never";
        let phase = if never && init.iter().chain(&main).any(|(_, one)| failed(one)) {
            "Failed"
        } else if is_final && main.iter().all(|(_, one)| has_ended(one) && !failed(one)) {
            "Succeeded"
        } else if is_prepared
            && main.iter().any(|(_, one)| one.restarts > 0 || !matches!(one.state, State::Waiting { .. }))
        {
            "Running"
        } else {
            "Pending"
        };
        let is_ready = phase == "Running" && main.iter().all(|(_, one)| one.is_ready);
        let word = |is: bool| if is { "True" } else { "False" };
        let condition =
            |kind: &str, is: bool| json!({"type": kind, "status": word(is), "lastTransitionTime": now()});
        let address = self.address();
        json!({
            "phase": phase, "startTime": self.began,
            "podIP": address, "podIPs": [{"ip": address}],
            "conditions": [
                condition("PodReadyToStartContainers", true), condition("Initialized", is_prepared),
                condition("Ready", is_ready), condition("ContainersReady", is_ready),
            ],
            "initContainerStatuses": init.iter().map(|(declared, one)| status_of(declared, one, true)).collect::<Vec<_>>(),
            "containerStatuses": main.iter().map(|(declared, one)| status_of(declared, one, is_prepared)).collect::<Vec<_>>(),
        })
    }

    /// An unused address that is probably unique among these pods.
    fn address(&self) -> String {
        let uid = self.pod.metadata.uid.as_deref().unwrap_or_default();
        let digest = bootstrapper_core::digest::short_sha256(uid, 4);
        let number = u32::from_str_radix(&digest, 16).unwrap_or_default();
        format!("10.42.{}.{}", 200 + (number >> 8) % 50, 1 + number % 250)
    }
}

fn status_of(declared: &Value, container: &Container, is_its_turn: bool) -> Value {
    let state = match &container.state {
        State::Waiting { reason: "ContainerCreating", .. } if !is_its_turn => {
            json!({"waiting": {"reason": "PodInitializing"}})
        }
        State::Waiting { reason, message } => json!({"waiting": {"reason": reason, "message": message}}),
        State::Running { since } => json!({"running": {"startedAt": since}}),
        State::Ended(ended) => json!({"terminated": ended}),
    };
    let mut reported = json!({
        "name": declared["name"], "image": declared["image"], "imageID": "", "ready": container.is_ready,
        "started": matches!(container.state, State::Running { .. }), "restartCount": container.restarts,
        // A union: other states must be set to null.
        "state": {"waiting": null, "running": null, "terminated": null},
    });
    if let (Some(slots), Some(state)) = (reported["state"].as_object_mut(), state.as_object()) {
        slots.extend(state.clone());
    }
    if let Some(last) = &container.last
        && !matches!(container.state, State::Ended(_))
    {
        reported["lastState"] = json!({"terminated": last});
    }
    reported
}
