//! What looks at the steps of a run: `plan`, `status`, `handover`.

use clap::Args as ClapArgs;

use super::{OutputArgs, Selection, Target};

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct PlanArgs {
    /// The cluster
    pub(in crate::cli) cluster: String,

    /// Look at the sandbox of this cluster
    #[arg(long, conflicts_with_all = ["context", "kubeconfig"])]
    pub(in crate::cli) sandbox: bool,

    #[command(flatten)]
    pub(in crate::cli) target: Target,

    #[command(flatten)]
    pub(in crate::cli) selection: Selection,

    #[command(flatten)]
    pub(in crate::cli) output: OutputArgs,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct HandoverArgs {
    #[command(flatten)]
    pub(in crate::cli) plan: PlanArgs,

    /// Exit with 1 if Flux changes, or has changed, what the bootstrap installed
    #[arg(long)]
    pub(in crate::cli) check: bool,
}
