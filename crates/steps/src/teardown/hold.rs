//! Prevents Flux from recreating what is removed, and lets it remove or release it.

use serde_json::json;

use super::tree::Tree;
use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::ObjectRef;
use bootstrapper_core::words::count;
use bootstrapper_engine::Teardown;

/// A dependency that does not exist: while a Kustomization waits for it, Flux applies nothing, but still prunes
/// on deletion, which it would not do while suspended.
const NOBODY: &str = "bootstrapper-clean-removes-this";

/// The annotation that disables flux-operator for an object.
const DISABLED: &str = "fluxcd.controlplane.io/reconcile";

impl Tree {
    /// From here on Flux applies nothing: parents first, or they would resume their children.
    pub(super) async fn hold(&self, cluster: &Cluster, teardown: &Teardown<'_>) -> Result<()> {
        if !self.units.is_empty() {
            (teardown.say)(format!("suspending {}", count(self.units.len(), "Kustomization")));
        }
        for instance in &self.instances {
            cluster.merge(instance, &json!({"metadata": {"annotations": {DISABLED: "disabled"}}})).await?;
        }
        let suspended = json!({"spec": {"suspend": true}});
        let units = self.prerequisites.iter().rev().chain(self.waves.iter().rev().flatten());
        for id in units.chain(&self.prerequisite_releases).chain(&self.foreign) {
            cluster.merge(id, &suspended).await?;
        }
        Ok(())
    }
}

/// Deletes a Kustomization so that Flux removes what it applied. It was suspended until now.
pub(super) async fn delete_pruning(cluster: &Cluster, id: &ObjectRef) -> Result<()> {
    cluster.merge(id, &json!({"spec": {"suspend": false, "dependsOn": [{"name": NOBODY}]}})).await?;
    cluster.delete(id).await
}

/// Enables flux-operator again, so that it removes Flux; without recreating the sync.
pub(super) async fn release_instance(cluster: &Cluster, id: &ObjectRef) -> Result<()> {
    let patch = json!({"metadata": {"annotations": {DISABLED: null}}, "spec": {"sync": null}});
    cluster.merge(id, &patch).await
}
