//! The sandbox that a verb works on instead of the cluster itself.

use std::path::PathBuf;

use bootstrapper_tools::Environment;

/// What a verb needs to know of a running sandbox.
pub(super) struct Rehearsal {
    /// Its admin kubeconfig.
    pub(super) kubeconfig: PathBuf,
    /// The context in it.
    pub(super) context: String,
    /// What programs need to reach its mirror of the internet.
    pub(super) environment: Environment,
    /// The command that runs another one beyond its router; none if its network is simulated.
    pub(super) beyond_router: Option<Vec<String>>,
}
