//! What Flux owns is left to Flux: a step whose object Flux reconciles already awaits Flux's own
//! verdict, and writes nothing.

use futures::stream::{BoxStream, StreamExt};

use crate::cluster::Cluster;
use crate::failure::Result;
use crate::object::ObjectRef;
use crate::readiness::{self, Verdict, has_taken_over};

/// A Kustomization or HelmRelease that will own what a step makes.
#[derive(Debug, Clone)]
pub struct FluxOwner(pub ObjectRef);

impl FluxOwner {
    /// Whether it owns it already, told for a person; none if it does not.
    pub(super) async fn owns(&self, cluster: &Cluster) -> Result<Option<String>> {
        Ok(cluster.get(&self.0).await?.as_ref().filter(|owner| has_taken_over(owner)).map(
            |owner| match owner.metadata.creation_timestamp.as_ref() {
                Some(since) => format!("owned by Flux since {}", since.0.strftime("%Y-%m-%d")),
                None => "owned by Flux".to_owned(),
            },
        ))
    }

    /// The owner's own verdict once it has taken over, `before` until then.
    pub(super) fn settle_or<'a>(
        &self,
        cluster: &Cluster,
        before: BoxStream<'a, Verdict>,
    ) -> BoxStream<'a, Verdict> {
        let owner = self.0.clone();
        let cluster = cluster.clone();
        futures::stream::once(async move {
            match cluster.get(&owner).await {
                Ok(Some(object)) if has_taken_over(&object) => follow_owner(&cluster, owner),
                _ => before,
            }
        })
        .flatten()
        .boxed()
    }
}

fn follow_owner(cluster: &Cluster, owner: ObjectRef) -> BoxStream<'static, Verdict> {
    cluster
        .follow(vec![owner.clone()])
        .map(move |seen| match seen.get(&owner).and_then(Option::as_ref) {
            Some(object) => readiness::verdict(object).about(&owner),
            None => Verdict::not_yet("is not there").about(&owner),
        })
        .boxed()
}
