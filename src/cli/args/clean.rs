//! `clean`.

use clap::Args as ClapArgs;

use super::{OutputArgs, Selection, Target};

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(in crate::cli) struct CleanArgs {
    /// The cluster
    pub(in crate::cli) cluster: String,

    /// Only show what would be removed
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,

    /// Agree beforehand to what would be asked
    #[arg(long, conflicts_with = "dry_run")]
    pub(in crate::cli) yes: bool,

    /// Take finalizers from what does not go: what they were to clean up then stays
    #[arg(long)]
    pub(in crate::cli) release_finalizers: bool,

    /// Also where Flux has taken over: it then removes all that it has applied
    #[arg(long)]
    pub(in crate::cli) flux_too: bool,

    /// Clean the sandbox of this cluster
    #[arg(long, conflicts_with_all = ["context", "kubeconfig"])]
    pub(in crate::cli) sandbox: bool,

    #[command(flatten)]
    pub(in crate::cli) target: Target,

    #[command(flatten)]
    pub(in crate::cli) selection: Selection,

    #[command(flatten)]
    pub(in crate::cli) output: OutputArgs,
}
