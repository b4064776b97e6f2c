//! The sandbox that a command uses instead of the cluster itself.

use std::path::PathBuf;

use bootstrapper_tools::Environment;

/// The connection data of a running sandbox.
pub(super) struct Rehearsal {
    /// Its admin kubeconfig.
    pub(super) kubeconfig: PathBuf,
    /// The context in it.
    pub(super) context: String,
    /// The environment for programs, with its mirror of the internet.
    pub(super) environment: Environment,
    /// The command that runs another one on the far side of its router; none if its network is simulated.
    pub(super) beyond_router: Option<Vec<String>>,
}
