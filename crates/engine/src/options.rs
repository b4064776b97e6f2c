//! Options of a run.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Gate;

/// Options of a run.
#[derive(Clone)]
pub struct RunOptions {
    /// Called before every write.
    pub gate: Arc<dyn Gate>,
    /// Take over fields of other managers instead of failing.
    pub force_conflicts: bool,
    /// Fail instead of warning.
    pub strict: bool,
    /// Start nothing more, and finish in-flight operations.
    pub cancel: CancellationToken,
    /// The first line of the output: the cluster and its server.
    pub headline: String,
}
