//! `trust`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::OutputArgs;

#[derive(Debug, ClapArgs)]
pub(crate) struct TrustArgs {
    /// Only what is asked for these clusters [default: all]
    pub(crate) clusters: Vec<String>,

    /// Only list what the repository asks for, and what of it you have agreed to
    #[arg(long)]
    pub(crate) list: bool,

    /// Forget what you have agreed to for this repository
    #[arg(long, conflicts_with_all = ["list", "clusters", "yes"])]
    pub(crate) revoke: bool,

    /// Skip the question
    #[arg(long, conflicts_with = "list")]
    pub(crate) yes: bool,

    /// The GitOps repository [default: found upwards from here]
    #[arg(long, value_name = "DIR", env = "BOOTSTRAPPER_REPO")]
    pub(crate) repo: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
