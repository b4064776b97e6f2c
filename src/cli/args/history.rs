//! `history`.

use clap::Args as ClapArgs;

use super::{OutputArgs, SandboxFlag, Target};

#[derive(Debug, ClapArgs)]
pub(crate) struct HistoryArgs {
    /// Name of the cluster
    pub(crate) cluster: String,

    /// Also show the steps of the latest run: outcome, duration and digest of the desired state
    #[arg(long)]
    pub(crate) steps: bool,

    #[command(flatten)]
    pub(crate) sandbox: SandboxFlag,

    #[command(flatten)]
    pub(crate) target: Target,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
