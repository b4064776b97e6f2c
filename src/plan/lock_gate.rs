//! The gate of a real run: before its first write it takes the cluster's lock and records whose
//! cluster this is; before every later one it checks that the lock is still held.

use async_trait::async_trait;
use tokio::sync::OnceCell;

use crate::cluster::{Cluster, Lock};
use crate::engine::Gate;
use crate::failure::{Failure, FailureKind, Result};

/// Takes the cluster's lock before the first write of a run.
pub struct LockGate {
    cluster: Cluster,
    name: String,
    run: String,
    lock: OnceCell<Lock>,
}

impl LockGate {
    /// A gate for the run `run` of the cluster called `name`.
    pub fn new(cluster: Cluster, name: String, run: String) -> Self {
        Self { cluster, name, run, lock: OnceCell::new() }
    }

    /// Whether anything was let through, and so perhaps written.
    pub fn was_passed(&self) -> bool {
        self.lock.initialized()
    }

    /// Gives the lock back, if it was taken.
    pub async fn release(&self) -> Result<()> {
        match self.lock.get() {
            Some(lock) => lock.release().await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Gate for LockGate {
    async fn pass(&self) -> Result<()> {
        let lock = self
            .lock
            .get_or_try_init(|| async {
                let lock = self.cluster.lock(&self.run).await?;
                self.cluster.record_identity(&self.name).await?;
                Ok::<_, Failure>(lock)
            })
            .await?;
        if lock.is_held() {
            return Ok(());
        }
        Err(Failure::new(FailureKind::Locked, format!("the lock of {} was lost during the run", self.name))
            .because("it could not be renewed in time, so another run may have begun")
            .hint("run again once the API server answers steadily: it goes on where facts say"))
    }
}
