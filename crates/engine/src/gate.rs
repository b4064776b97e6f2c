//! The gate before every write.

use async_trait::async_trait;

use bootstrapper_core::failure::{Failure, Result};

/// Called before every action of a run. The first call acquires the run's lock, so that a run without changes
/// writes nothing; later calls check that the lock is still held, so that a run that has lost it stops before
/// its next write.
#[async_trait]
pub trait Gate: Send + Sync {
    /// Permits the action, or returns why not. Reports to `say` if it has to wait.
    async fn pass(&self, say: &(dyn Fn(String) + Send + Sync)) -> Result<()>;

    /// Returns once the lock is lost: in-flight actions are then aborted.
    async fn lost(&self) -> Failure {
        std::future::pending().await
    }
}

/// Permits everything: for graphs that never run concurrently.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenGate;

#[async_trait]
impl Gate for OpenGate {
    async fn pass(&self, _: &(dyn Fn(String) + Send + Sync)) -> Result<()> {
        Ok(())
    }
}
