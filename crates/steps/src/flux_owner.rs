//! Objects that Flux owns are left to Flux: a step whose object Flux reconciles already waits for Flux's
//! verdict, and writes nothing.

use futures::stream::{BoxStream, StreamExt};

use super::following::follow_ready;
use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::verdict::Readiness;
use bootstrapper_readiness::has_taken_over;

/// A Kustomization or HelmRelease that will own the objects of a step.
#[derive(Debug, Clone)]
pub(crate) struct FluxOwner(pub ObjectRef);

impl FluxOwner {
    /// Whether it owns them already, as a text; none if not.
    pub(super) async fn owns(&self, cluster: &Cluster) -> Result<Option<String>> {
        Ok(self.object(cluster).await?.as_ref().and_then(owned_since))
    }

    /// Its live object.
    pub(super) async fn object(&self, cluster: &Cluster) -> Result<Option<Object>> {
        cluster.get(&self.0).await
    }

    /// The owner's verdict once it has taken over, `before` until then.
    pub(super) fn settle_or<'a>(
        &self,
        cluster: &Cluster,
        before: BoxStream<'a, Result<Readiness>>,
    ) -> BoxStream<'a, Result<Readiness>> {
        let (owner, cluster) = (self.0.clone(), cluster.clone());
        futures::stream::once(async move {
            match cluster.get(&owner).await {
                Ok(Some(object)) if has_taken_over(&object) => follow_ready(&cluster, vec![owner]),
                _ => before,
            }
        })
        .flatten()
        .boxed()
    }
}

/// Since when it owns its objects, as a text; none if it does not.
pub(super) fn owned_since(owner: &Object) -> Option<String> {
    has_taken_over(owner).then(|| match owner.metadata.creation_timestamp.as_ref() {
        Some(since) => format!("owned by Flux since {}", since.0.strftime("%Y-%m-%d")),
        None => "owned by Flux".to_owned(),
    })
}

/// A remark if the newest revision of a release is not the last one that Flux created: Flux sees it as foreign,
/// and upgrades it again (`internal/reconcile/state.go` of helm-controller).
pub(super) fn foreign_revision(owner: &Object, newest: Option<u64>) -> Option<String> {
    let history = owner.data["status"]["history"].as_array()?;
    let own = history.iter().filter_map(|snapshot| snapshot["version"].as_u64()).max()?;
    match newest {
        Some(newest) if newest == own => None,
        Some(newest) => {
            Some(format!("revision {newest} is not its own, which is {own}: Flux upgrades it again"))
        }
        None => Some(format!("its revision {own} was deleted: Flux installs it again")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(status: &serde_json::Value) -> Object {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}, "status": status
        }))
        .unwrap()
    }

    #[test]
    fn a_foreign_revision_is_reported() {
        let owner = object(&serde_json::json!({"history": [{"version": 4}, {"version": 3}]}));
        assert_eq!(foreign_revision(&owner, Some(4)), None);
        assert!(foreign_revision(&owner, Some(5)).unwrap().contains("upgrades it again"));
        assert!(foreign_revision(&owner, None).unwrap().contains("installs it again"));
    }
}
