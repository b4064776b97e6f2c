//! `clean`.

use clap::Args as ClapArgs;

use super::{OutputArgs, SandboxFlag, Selection, Target};

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct CleanArgs {
    /// The cluster
    pub(crate) cluster: String,

    /// Only show what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Agree beforehand to what would be asked
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) yes: bool,

    /// Take finalizers from what does not go: what they were to clean up then stays
    #[arg(long)]
    pub(crate) release_finalizers: bool,

    /// Also where Flux has taken over: it then removes all that it has applied
    #[arg(long)]
    pub(crate) flux_too: bool,

    #[command(flatten)]
    pub(crate) sandbox: SandboxFlag,

    #[command(flatten)]
    pub(crate) target: Target,

    #[command(flatten)]
    pub(crate) selection: Selection,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
