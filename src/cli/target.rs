//! Which cluster a verb looks at.

use super::args::PlanArgs;
use bootstrapper_core::failure::Result;
use bootstrapper_sandbox::{self as sandbox, Sandbox};

/// The running sandbox of the cluster, if one was asked for.
pub(super) fn sandbox_of(args: &PlanArgs) -> Result<Option<Sandbox>> {
    args.sandbox.then(|| sandbox::load(&args.cluster)).transpose()
}
