//! A step whose causes get locations in the repository.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;

use bootstrapper_core::failure::Result;
use bootstrapper_core::verdict::Readiness;
use bootstrapper_engine::{Act, Cause, Changes, Observation, Owned, Step, Stuck, Teardown, Undo};
use bootstrapper_gitops::Declared;

/// Any step; adds to each cause where it is declared.
pub(crate) struct WithLocation {
    /// The step.
    pub step: Arc<dyn Step>,
    /// What the cluster declares.
    pub declared: Arc<Declared>,
}

#[async_trait]
impl Step for WithLocation {
    async fn observe(&self) -> Result<Observation> {
        self.step.observe().await
    }

    async fn act(&self, act: Act<'_>) -> Result<Changes> {
        self.step.act(act).await
    }

    fn settle(&self) -> BoxStream<'_, Result<Readiness>> {
        self.step.settle()
    }

    async fn explain(&self, stuck: Stuck<'_>) -> Vec<Cause> {
        let mut causes = self.step.explain(stuck).await;
        locate(&mut causes, &self.declared);
        causes
    }
}

#[async_trait]
impl Undo for WithLocation {
    async fn owned(&self) -> Result<Owned> {
        self.step.owned().await
    }

    async fn teardown(&self, teardown: &Teardown<'_>) -> Result<Changes> {
        self.step.teardown(teardown).await
    }
}

/// Adds to each cause where it is declared, if known.
pub fn locate(causes: &mut [Cause], declared: &Declared) {
    for cause in causes {
        cause.declared_in = cause.declared_in.take().or_else(|| declared.declaration(&cause.origins));
    }
}
