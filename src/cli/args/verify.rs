//! `verify`.

use clap::Args as ClapArgs;

use super::{OutputArgs, Target};

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct VerifyArgs {
    /// The cluster; several of a mesh also call each other
    #[arg(value_name = "CLUSTER", required = true)]
    pub(in crate::cli) clusters: Vec<String>,

    /// Look at the sandboxes of these clusters
    #[arg(long, conflicts_with_all = ["context", "kubeconfig"])]
    pub(in crate::cli) sandbox: bool,

    #[command(flatten)]
    pub(in crate::cli) target: Target,

    #[command(flatten)]
    pub(in crate::cli) output: OutputArgs,
}
