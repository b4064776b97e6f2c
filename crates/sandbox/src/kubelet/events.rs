//! Events of a kubelet about a pod.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use k8s_openapi::api::core::v1::Event;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use super::status::written;
use bootstrapper_cluster::Cluster;
use bootstrapper_core::object::{Object, ObjectRef};

/// Sends the events of one pod.
pub(crate) struct Events {
    api: Api<Event>,
    pod: ObjectRef,
    uid: Option<String>,
    node: String,
    /// The name and count of each event, by reason and message.
    seen: Mutex<HashMap<(String, String), (String, u32)>>,
}

impl Events {
    pub(crate) fn of(cluster: &Cluster, pod: &Object) -> Self {
        let id = ObjectRef::of(pod);
        Self {
            api: Api::namespaced(cluster.client(), id.namespace.as_deref().unwrap_or_default()),
            pod: id,
            uid: pod.metadata.uid.clone(),
            node: pod.data["spec"]["nodeName"].as_str().unwrap_or_default().to_owned(),
            seen: Mutex::default(),
        }
    }

    pub(crate) async fn say(&self, reason: &str, message: &str) {
        self.event("Normal", reason, message).await;
    }

    pub(crate) async fn warn(&self, reason: &str, message: &str) {
        self.event("Warning", reason, message).await;
    }

    pub(crate) async fn probe_failed(&self, why: &str) {
        self.warn("Unhealthy", &format!("Readiness probe failed: {why}")).await;
    }

    /// A repeated event increments the count.
    async fn event(&self, kind: &str, reason: &str, message: &str) {
        let (name, count) = self.count(reason, message);
        let now = written(jiff::Timestamp::now());
        if count > 1 {
            let again = Patch::Merge(json!({"count": count, "lastTimestamp": now}));
            let _ = self.api.patch(&name, &PatchParams::default(), &again).await;
            return;
        }
        let ObjectRef { namespace, name: pod, .. } = &self.pod;
        let event = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": namespace},
            "involvedObject": {"apiVersion": "v1", "kind": "Pod", "namespace": namespace, "name": pod, "uid": self.uid},
            "type": kind, "reason": reason, "message": message, "count": 1,
            "firstTimestamp": now, "lastTimestamp": now,
            "source": {"component": "kubelet", "host": self.node},
        }));
        if let Ok(event) = event {
            let _ = self.api.create(&PostParams::default(), &event).await;
        }
    }

    fn count(&self, reason: &str, message: &str) -> (String, u32) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let number = seen.len();
        let entry = seen.entry((reason.to_owned(), message.to_owned()));
        let entry = entry.or_insert_with(|| (format!("{}.{number:x}", self.pod.name), 0));
        entry.1 += 1;
        entry.clone()
    }
}
