//! The gate of a run: before the first write it acquires the cluster's lock, and records the cluster's identity
//! and the start of the run; before every later write it checks that the lock is still held.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OnceCell;

use bootstrapper_cluster::{Cluster, Identity, Lock, RunRecord};
use bootstrapper_core::failure::{Failure, FailureKind, Result};
use bootstrapper_engine::Gate;

/// Acquires the cluster's lock before the first write of a run.
pub struct LockGate {
    cluster: Cluster,
    identity: Identity,
    run: RunRecord,
    /// Acquired or denied: later callers reuse the result.
    lock: OnceCell<Result<Lock>>,
}

impl LockGate {
    /// A gate for a run on the cluster with this `identity`.
    pub fn new(cluster: Cluster, identity: Identity, run: RunRecord) -> Self {
        Self { cluster, identity, run, lock: OnceCell::new() }
    }

    /// Whether any write was permitted, and so may have happened.
    pub fn was_passed(&self) -> bool {
        self.taken().is_some()
    }

    /// Releases the lock, if it was acquired.
    pub async fn release(&self) -> Result<()> {
        match self.taken() {
            Some(lock) => lock.release().await,
            None => Ok(()),
        }
    }

    fn taken(&self) -> Option<&Lock> {
        self.lock.get()?.as_ref().ok()
    }

    async fn take(&self, say: &(dyn Fn(String) + Send + Sync)) -> Result<Lock> {
        let lock = self.cluster.lock(&self.run.started.to_string(), say).await?;
        if let Err(failure) = self.cluster.record_identity(&self.identity).await {
            return Err(match lock.release().await {
                Ok(()) => failure,
                Err(unreleased) => {
                    failure.because(format!("nor could the run lock be released: {unreleased}"))
                }
            });
        }
        if let Err(failure) = self.cluster.record_run(&self.run).await {
            say(format!("the history of runs does not have this one: {failure}"));
        }
        Ok(lock)
    }
}

#[async_trait]
impl Gate for LockGate {
    async fn pass(&self, say: &(dyn Fn(String) + Send + Sync)) -> Result<()> {
        let taken = self.lock.get_or_try_init(|| async {
            match self.take(say).await {
                Err(failure) if is_final(&failure) => Ok(Err(failure)),
                Err(failure) => Err(failure),
                Ok(lock) => Ok(Ok(lock)),
            }
        });
        taken.await?.as_ref().map_err(Failure::clone)?.confirm().await
    }

    async fn lost(&self) -> Failure {
        match self.taken() {
            Some(lock) => lock.lost().await,
            None => std::future::pending().await,
        }
    }
}

fn is_final(failure: &Failure) -> bool {
    matches!(failure.kind, FailureKind::Locked | FailureKind::WrongCluster)
}

/// The gate of a run that acquires the lock before it starts. Writes are still denied once the lock is lost.
pub struct HeldLock(pub Arc<LockGate>);

#[async_trait]
impl Gate for HeldLock {
    async fn pass(&self, _: &(dyn Fn(String) + Send + Sync)) -> Result<()> {
        Ok(())
    }

    async fn lost(&self) -> Failure {
        self.0.lost().await
    }
}
