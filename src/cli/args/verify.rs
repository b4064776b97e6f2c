//! `verify`.

use clap::Args as ClapArgs;

use super::{OutputArgs, Target};

#[derive(Debug, ClapArgs)]
pub(crate) struct VerifyArgs {
    /// The cluster; several of a mesh also call each other
    #[arg(value_name = "CLUSTER", required = true)]
    pub(crate) clusters: Vec<String>,

    /// Look at the sandboxes of these clusters
    #[arg(long, conflicts_with_all = ["context", "kubeconfig"])]
    pub(crate) sandbox: bool,

    #[command(flatten)]
    pub(crate) target: Target,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
