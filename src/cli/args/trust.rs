//! `trust`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::OutputArgs;

#[derive(Debug, ClapArgs)]
pub(crate) struct TrustArgs {
    /// Names of the clusters [default: all]
    pub(crate) clusters: Vec<String>,

    /// List the requests and whether they are approved, without approving them
    #[arg(long)]
    pub(crate) list: bool,

    /// Revoke all approvals for this repository
    #[arg(long, conflicts_with_all = ["list", "clusters", "yes"])]
    pub(crate) revoke: bool,

    /// Skip the confirmation prompt
    #[arg(long, conflicts_with = "list")]
    pub(crate) yes: bool,

    /// The GitOps repository [default: searched upwards from the current folder]
    #[arg(long, value_name = "DIR", env = "BOOTSTRAPPER_REPO")]
    pub(crate) repo: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
