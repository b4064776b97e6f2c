//! `history`.

use clap::Args as ClapArgs;

use super::{OutputArgs, Target};

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct HistoryArgs {
    /// The cluster
    pub(in crate::cli) cluster: String,

    /// Also the steps of the newest run: how each ended, how long it took, the digest of what it was
    /// to bring about
    #[arg(long)]
    pub(in crate::cli) steps: bool,

    /// Look at the sandbox of this cluster
    #[arg(long, conflicts_with_all = ["context", "kubeconfig"])]
    pub(in crate::cli) sandbox: bool,

    #[command(flatten)]
    pub(in crate::cli) target: Target,

    #[command(flatten)]
    pub(in crate::cli) output: OutputArgs,
}
