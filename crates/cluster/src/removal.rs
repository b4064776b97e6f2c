//! Stuck deletions.

use futures::stream::{self, StreamExt as _};
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use kube::discovery::{Scope, verbs};

use super::Cluster;
use super::apply::FIELD_MANAGER;
use super::calls::{if_there, within_limit};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef};

/// The maximum number of kinds listed concurrently.
const AT_ONCE: usize = 8;

impl Cluster {
    /// Removes the finalizers of an object that is being deleted; returns them. None if it does
    /// not exist, is not being deleted, or has none.
    pub async fn release_finalizers(&self, id: &ObjectRef) -> Result<Option<String>> {
        let Some(object) = self.get(id).await? else { return Ok(None) };
        let finalizers = object.metadata.finalizers.unwrap_or_default();
        if object.metadata.deletion_timestamp.is_none() || finalizers.is_empty() {
            return Ok(None);
        }
        let api = self.require_api(&id.api_version, &id.kind, id.namespace.as_deref()).await?;
        let patch = Patch::Merge(serde_json::json!({"metadata": {"finalizers": null}}));
        let parameters =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let what = format!("cannot remove the finalizers of {id}");
        if_there(&what, api.patch(&id.name, &parameters, &patch)).await?;
        Ok(Some(finalizers.join(", ")))
    }

    /// Changes fields of an existing object; does nothing if it does not exist.
    pub async fn merge(&self, id: &ObjectRef, patch: &serde_json::Value) -> Result<()> {
        let Some(api) = self.api(&id.api_version, &id.kind, id.namespace.as_deref()).await? else {
            return Ok(());
        };
        let parameters =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let what = format!("cannot change {id}");
        if_there(&what, api.patch(&id.name, &parameters, &Patch::Merge(patch))).await.map(drop)
    }

    /// The objects of all kinds in a namespace whose deletion is blocked by finalizers. A kind that cannot be
    /// listed is skipped: its API may be what blocks the namespace.
    pub async fn held_in(&self, namespace: &str) -> Result<Vec<ObjectRef>> {
        let what = "cannot list the API resources";
        let groups = within_limit(what, self.client.list_api_groups()).await?;
        let groups = groups.groups.into_iter().map(|group| group.name).chain([String::new()]);
        // Skips groups whose API server does not respond, too.
        let groups = groups.map(|group| async move {
            let found = within_limit(what, kube::discovery::group(&self.client, &group)).await;
            found.map(|group| group.recommended_resources()).unwrap_or_default()
        });
        let kinds: Vec<Vec<_>> =
            stream::iter(groups.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect().await;
        let listable = kinds.into_iter().flatten().filter(|(_, capabilities)| {
            capabilities.scope == Scope::Namespaced && capabilities.supports_operation(verbs::LIST)
        });
        let lists = listable.map(|(resource, _)| {
            let api: Api<Object> = Api::namespaced_with(self.client.clone(), namespace, &resource);
            async move {
                let listed = within_limit(what, api.list_metadata(&ListParams::default())).await;
                let items = listed.map(|listed| listed.items).unwrap_or_default().into_iter();
                let held = items.map(|item| item.metadata).filter(|metadata| {
                    metadata.deletion_timestamp.is_some()
                        && metadata.finalizers.as_ref().is_some_and(|all| !all.is_empty())
                });
                let id = |name: String| {
                    ObjectRef::namespaced(&resource.api_version, &resource.kind, namespace, &name)
                };
                held.filter_map(|metadata| metadata.name).map(id).collect::<Vec<_>>()
            }
        });
        let lists: Vec<Vec<ObjectRef>> =
            stream::iter(lists.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect().await;
        Ok(lists.concat())
    }
}
