//! Hands on a cluster: what a scene does to it, and how that is put back.

use std::path::Path;
use std::time::Duration;

use bootstrapper::cluster::{self, Cluster};
use bootstrapper::object::{Object, ObjectRef};
use bootstrapper::{readiness, yaml};
use futures::stream::StreamExt as _;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::gallery::scene::Deed;

/// Kinds of a scene itself are served a moment after their CRD.
const AGAIN: Duration = Duration::from_millis(300);

pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) client: kube::Client,
    /// Where the logs of pods are had.
    pub(crate) kubelet_port: i64,
}

impl Stage {
    pub(crate) async fn api(&self, id: &ObjectRef) -> kube::Api<Object> {
        let gvk = kube::core::GroupVersionKind::gvk(id.group(), id.version(), &id.kind);
        let (resource, _) = loop {
            match kube::discovery::pinned_kind(&self.client, &gvk).await {
                Ok(found) => break found,
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        };
        match &id.namespace {
            Some(namespace) => kube::Api::namespaced_with(self.client.clone(), namespace, &resource),
            None => kube::Api::all_with(self.client.clone(), &resource),
        }
    }

    /// Until what an earlier play has made is gone: it would be taken for something to be put back.
    async fn vacated(&self, id: &ObjectRef) {
        let mut seen = cluster::seen(self.cluster.follow(vec![id.clone()]));
        while seen.next().await.is_some_and(|seen| seen.values().flatten().next().is_some()) {}
    }

    async fn await_ready(&self, id: ObjectRef) {
        let mut seen = cluster::seen(self.cluster.follow(vec![id]));
        let is_ready = |object: &Object| readiness::verdict(object).is_ready();
        while let Some(seen) = seen.next().await {
            if seen.values().all(|object| object.as_deref().is_some_and(is_ready)) {
                return;
            }
        }
    }
}

/// One scene's part of the stage: its namespace, and what it did.
pub(crate) struct Part<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) namespace: String,
    /// What it made or changed, in this order, and how that was before.
    touched: Vec<(ObjectRef, Option<Object>)>,
}

impl<'a> Part<'a> {
    pub(crate) async fn of(stage: &'a Stage, name: &str) -> Self {
        let namespace = format!("g-{name}");
        let mut part = Self { stage, namespace: namespace.clone(), touched: Vec::new() };
        stage.vacated(&ObjectRef::cluster_scoped("v1", "Namespace", &namespace)).await;
        let labelled = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": {"gallery": namespace}}});
        part.apply(&labelled.to_string()).await;
        part
    }

    fn read(&self, objects: &str) -> Vec<Object> {
        let port = self.stage.kubelet_port.to_string();
        let text = objects.replace("$NS", &self.namespace).replace("$KUBELET_PORT", &port);
        yaml::from_multiple(&text, Path::new("scene")).unwrap()
    }

    /// Applies objects, and the status that some of them bring.
    pub(crate) async fn apply(&mut self, objects: &str) -> Vec<ObjectRef> {
        let mut refs = Vec::new();
        for object in self.read(objects) {
            let id = ObjectRef::of(&object);
            let api = self.touch(&id).await;
            // A node that is made without conditions takes pods until its controller has seen them.
            let status = object.data.get("status");
            let parameters = PatchParams::apply("gallery").force();
            loop {
                match api.patch(&id.name, &parameters, &Patch::Apply(&object)).await {
                    Ok(_) => break,
                    Err(kube::Error::Api(status)) if matches!(status.code, 404 | 500 | 503) => {
                        tokio::time::sleep(AGAIN).await;
                    }
                    Err(error) => panic!("{id}: {error}"),
                }
            }
            if let Some(status) = status {
                let status = json!({"status": status});
                api.patch_status(&id.name, &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
            }
            refs.push(id);
        }
        refs
    }

    pub(crate) async fn act(&mut self, deeds: &[Deed]) -> Vec<ObjectRef> {
        let mut refs = Vec::new();
        for deed in deeds {
            match deed {
                Deed::Delete(id) => {
                    let id = self.here(id);
                    self.touch(&id).await.delete(&id.name, &DeleteParams::default()).await.unwrap();
                }
                Deed::Patch { object, with } => {
                    let id = self.here(object);
                    let patch = Patch::Merge(with);
                    self.touch(&id).await.patch(&id.name, &PatchParams::default(), &patch).await.unwrap();
                }
                Deed::Apply(objects) => refs.extend(self.apply(objects).await),
                Deed::Refused(object) => self.refused(object).await,
                Deed::Await(id) => self.stage.await_ready(self.here(id)).await,
            }
        }
        refs
    }

    async fn refused(&self, object: &str) {
        let [object] = self.read(object).try_into().expect("one object");
        let api = self.stage.api(&ObjectRef::of(&object)).await;
        let only_asked = PostParams { dry_run: true, ..PostParams::default() };
        while api.create(&only_asked, &object).await.is_ok() {
            tokio::time::sleep(AGAIN).await;
        }
    }

    fn here(&self, id: &ObjectRef) -> ObjectRef {
        ObjectRef {
            namespace: id.namespace.as_ref().map(|name| name.replace("$NS", &self.namespace)),
            name: id.name.replace("$NS", &self.namespace),
            ..id.clone()
        }
    }

    /// An object's API, once it is noted how the object was before the scene.
    async fn touch(&mut self, id: &ObjectRef) -> kube::Api<Object> {
        let api = self.stage.api(id).await;
        if !self.touched.iter().any(|(touched, _)| touched == id) {
            self.touched.push((id.clone(), api.get_opt(&id.name).await.unwrap()));
        }
        api
    }

    /// What was made goes, and what was changed or deleted is as it was before.
    pub(crate) async fn put_away(self) {
        let (changed, made): (Vec<_>, Vec<_>) =
            self.touched.iter().rev().partition(|(_, before)| before.is_some());
        for (id, _) in &made {
            self.remove(id).await;
        }
        for (id, before) in &changed {
            self.put_back(id, before.as_ref().unwrap()).await;
        }
        for (id, _) in changed {
            self.stage.await_ready(id.clone()).await;
        }
    }

    async fn remove(&self, id: &ObjectRef) {
        let api = self.stage.api(id).await;
        if api.delete(&id.name, &DeleteParams::background()).await.is_err() {
            return;
        }
        // Nobody else removes a finalizer that the scene itself put there.
        let held = api.get_opt(&id.name).await.unwrap();
        let finalizers = held.and_then(|held| held.metadata.finalizers).unwrap_or_default();
        if finalizers.iter().any(|finalizer| finalizer.starts_with("example.org/")) {
            let none = json!({"metadata": {"finalizers": null}});
            let _ = api.patch(&id.name, &PatchParams::default(), &Patch::Merge(none)).await;
        }
    }

    async fn put_back(&self, id: &ObjectRef, before: &Object) {
        let api = self.stage.api(id).await;
        let mut wanted = before.clone();
        wanted.metadata.uid = None;
        wanted.metadata.managed_fields = None;
        loop {
            let now = api.get_opt(&id.name).await.unwrap();
            wanted.metadata.resource_version =
                now.as_ref().and_then(|now| now.metadata.resource_version.clone());
            let put = match now {
                Some(_) => api.replace(&id.name, &PostParams::default(), &wanted).await,
                None => api.create(&PostParams::default(), &wanted).await,
            };
            match put {
                Ok(_) => return,
                // Somebody else wrote in between.
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => panic!("{id}: {error}"),
            }
        }
    }
}
