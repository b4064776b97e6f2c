//! `clean`.

use clap::Args as ClapArgs;

use super::{OutputArgs, SandboxFlag, Selection, Target};

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct CleanArgs {
    /// Name of the cluster
    pub(crate) cluster: String,

    /// Show what would be removed, and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Skip confirmation prompts
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) yes: bool,

    /// Remove finalizers from stuck objects (skips their cleanup)
    #[arg(long)]
    pub(crate) release_finalizers: bool,

    /// Also clean up after the hand-over: let Flux remove everything that it applied
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
