//! How a graph is run.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Gate;

/// How a graph is run.
#[derive(Clone)]
pub struct RunOptions {
    /// Asked before every write.
    pub gate: Arc<dyn Gate>,
    /// Take fields over from other owners instead of refusing.
    pub force_conflicts: bool,
    /// Fail where else there would be warnings.
    pub strict: bool,
    /// Stop starting, let what is in flight come to a safe point.
    pub cancel: CancellationToken,
    /// The first line that a renderer shows: what is bootstrapped, against which server.
    pub headline: String,
}
