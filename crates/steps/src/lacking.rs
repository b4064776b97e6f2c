//! A step that cannot be done, since something that it needs is not known.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};

use crate::teardown::removal;
use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_engine::{Act, Cause, Changes, Made as Owned, Observation, Step, Unmake};
use bootstrapper_readiness::Verdict;

/// A step that cannot be done. What an earlier run has made of it can still be removed.
pub struct Lacking {
    /// What is not known, where that is used, and what to do.
    pub failure: Failure,
    /// What removes it.
    pub made: Arc<dyn Step>,
}

#[async_trait]
impl Step for Lacking {
    async fn observe(&self) -> Result<Observation> {
        Err(self.failure.clone())
    }

    async fn act(&self, _: Act<'_>) -> Result<Changes> {
        Err(self.failure.clone())
    }

    fn settle(&self) -> BoxStream<'_, Result<Verdict>> {
        let why = self.failure.to_string();
        stream::once(async move { Ok(Verdict::Never(vec![why])) }).boxed()
    }

    fn lacks(&self) -> Option<&Failure> {
        Some(&self.failure)
    }

    async fn made(&self) -> Result<Owned> {
        self.made.made().await
    }

    async fn unmake(&self, unmake: &Unmake<'_>) -> Result<Changes> {
        self.made.unmake(unmake).await
    }

    async fn explain(&self, _: Option<&Failure>) -> Vec<Cause> {
        Vec::new()
    }
}

/// Objects that were made once, known by their names only.
pub struct Made {
    /// The API server.
    pub cluster: Cluster,
    /// What one of them is called.
    pub noun: String,
    /// The objects: their names count.
    pub objects: Vec<Object>,
    /// In whose name they were applied.
    pub manager: &'static str,
}

impl Made {
    async fn standing(&self) -> Result<Vec<ObjectRef>> {
        let mut standing = removal::standing(&self.cluster, &self.objects, self.manager).await?;
        standing.reverse();
        Ok(standing)
    }
}

#[async_trait]
impl Step for Made {
    async fn observe(&self) -> Result<Observation> {
        Ok(Observation::Satisfied { summary: String::new(), unchanged: 0 })
    }

    async fn act(&self, _: Act<'_>) -> Result<Changes> {
        Ok(Changes::default())
    }

    fn settle(&self) -> BoxStream<'_, Result<Verdict>> {
        stream::once(async { Ok(Verdict::Ready) }).boxed()
    }

    async fn made(&self) -> Result<Owned> {
        let objects = self.standing().await?;
        Ok(Owned { diff: removal::diff(&self.noun, &objects), objects, ..Owned::default() })
    }

    async fn unmake(&self, unmake: &Unmake<'_>) -> Result<Changes> {
        removal::remove(&self.cluster, &self.noun, self.standing().await?, unmake).await
    }

    async fn explain(&self, _: Option<&Failure>) -> Vec<Cause> {
        Vec::new()
    }
}
