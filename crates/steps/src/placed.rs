//! A step whose causes are found in the repository.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;

use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_engine::{Act, Cause, Changes, Made, Observation, Step, Unmake};
use bootstrapper_gitops::Declared;
use bootstrapper_readiness::Verdict;

/// Any step; of each cause it says where that is declared.
pub struct Placed {
    /// The step.
    pub step: Arc<dyn Step>,
    /// What the cluster declares.
    pub declared: Arc<Declared>,
}

#[async_trait]
impl Step for Placed {
    async fn observe(&self) -> Result<Observation> {
        self.step.observe().await
    }

    async fn act(&self, act: Act<'_>) -> Result<Changes> {
        self.step.act(act).await
    }

    async fn made(&self) -> Result<Made> {
        self.step.made().await
    }

    async fn unmake(&self, unmake: &Unmake<'_>) -> Result<Changes> {
        self.step.unmake(unmake).await
    }

    fn settle(&self) -> BoxStream<'_, Result<Verdict>> {
        self.step.settle()
    }

    fn lacks(&self) -> Option<&Failure> {
        self.step.lacks()
    }

    fn remarks(&self) -> Vec<String> {
        self.step.remarks()
    }

    async fn explain(&self, failure: Option<&Failure>) -> Vec<Cause> {
        let mut causes = self.step.explain(failure).await;
        place(&mut causes, &self.declared);
        causes
    }
}

/// Says of each cause where it is declared, as far as it is.
pub fn place(causes: &mut [Cause], declared: &Declared) {
    for cause in causes {
        cause.declared_in = cause.declared_in.take().or_else(|| declared.declaration(&cause.origins));
    }
}
