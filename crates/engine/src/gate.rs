//! Who may write: asked before every act.

use async_trait::async_trait;

use bootstrapper_core::failure::{Failure, Result};

/// Asked before every act of a run. The first time it takes the run's lock, so that a run that
/// finds nothing to do writes nothing; later it checks that the lock is still held, so that a run
/// that has lost it stops before its next write.
#[async_trait]
pub trait Gate: Send + Sync {
    /// Lets the act begin, or says why not. Tells `say` if that takes a while.
    async fn pass(&self, say: &(dyn Fn(String) + Send + Sync)) -> Result<()>;

    /// Returns once the right to write is lost: acts that are in flight are then cut short.
    async fn lost(&self) -> Failure {
        std::future::pending().await
    }
}

/// Lets everything pass: for graphs that nobody else can run at the same time.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenGate;

#[async_trait]
impl Gate for OpenGate {
    async fn pass(&self, _: &(dyn Fn(String) + Send + Sync)) -> Result<()> {
        Ok(())
    }
}
