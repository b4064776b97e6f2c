//! Watches Flux take over: every Kustomization and HelmRelease that the cluster declares is there
//! and ready. Writes nothing.

use async_trait::async_trait;
use futures::stream::{BoxStream, StreamExt as _};

use super::explain::Explainer;
use super::objects::follow_ready;
use crate::cluster::Cluster;
use crate::engine::{Act, Cause, Changes, Observation, Step};
use crate::failure::{Failure, Result};
use crate::object::ObjectRef;
use crate::readiness::Verdict;
use crate::words::count;

/// Watches Flux take over.
pub struct Handover {
    /// The API server.
    pub cluster: Cluster,
    /// Every Kustomization and HelmRelease that the cluster declares.
    pub declared: Vec<ObjectRef>,
    /// What is known of their wait.
    pub explainer: Explainer,
}

impl Handover {
    fn summary(&self) -> String {
        let of = |kind: &str| count(self.declared.iter().filter(|id| id.kind == kind).count(), kind);
        format!("{}, {} ready", of("Kustomization"), of("HelmRelease"))
    }
}

#[async_trait]
impl Step for Handover {
    async fn observe(&self) -> Result<Observation> {
        Ok(super::watching::observe(self.settle(), self.summary(), self.declared.len()).await)
    }

    async fn act(&self, _: Act<'_>) -> Result<Changes> {
        Ok(Changes::default())
    }

    fn settle(&self) -> BoxStream<'_, Verdict> {
        follow_ready(&self.cluster, self.declared.clone(), &self.explainer).map(what_moves_first).boxed()
    }

    async fn explain(&self, failure: Option<&Failure>) -> Vec<Cause> {
        self.explainer.of_objects(&self.cluster, &self.declared, failure).await
    }
}

/// Reasons in the order that a person wants them: what only waits for something else comes last.
fn what_moves_first(verdict: Verdict) -> Verdict {
    let only_waits =
        |reason: &String| reason.contains(": DependencyNotReady") || reason.ends_with(": is not there");
    match verdict {
        Verdict::NotYet(mut reasons) => {
            reasons.sort_by_key(only_waits);
            Verdict::NotYet(reasons)
        }
        settled => settled,
    }
}
