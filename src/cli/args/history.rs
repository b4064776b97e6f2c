//! `history`.

use clap::Args as ClapArgs;

use super::{OutputArgs, SandboxFlag, Target};

#[derive(Debug, ClapArgs)]
pub(crate) struct HistoryArgs {
    /// The cluster
    pub(crate) cluster: String,

    /// Also the steps of the newest run: how each ended, how long it took, the digest of what it was
    /// to bring about
    #[arg(long)]
    pub(crate) steps: bool,

    #[command(flatten)]
    pub(crate) sandbox: SandboxFlag,

    #[command(flatten)]
    pub(crate) target: Target,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
