//! `plan`, `status` and `handover`.

use clap::Args as ClapArgs;

use super::{OutputArgs, SandboxFlag, Selection, Target};

#[derive(Debug, ClapArgs)]
pub(crate) struct PlanArgs {
    /// Name of the cluster
    pub(crate) cluster: String,

    #[command(flatten)]
    pub(crate) sandbox: SandboxFlag,

    #[command(flatten)]
    pub(crate) target: Target,

    #[command(flatten)]
    pub(crate) selection: Selection,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PlanVerbArgs {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,

    /// Show the plan by the repository alone, without comparing it with a cluster
    #[arg(long)]
    pub(crate) offline: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct HandoverArgs {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,

    /// Exit with 1 if Flux changes, or has changed, what the bootstrap installed
    #[arg(long)]
    pub(crate) check: bool,
}
