//! `bootstrapper init`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The GitOps repository
    #[arg(long, value_name = "DIR")]
    pub(crate) repo: Option<PathBuf>,

    /// The kubeconfig whose contexts are matched with the clusters
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Print bootstrapper.yaml instead of writing it
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Ask nothing: what is not known becomes a comment
    #[arg(long, short)]
    pub(crate) yes: bool,
}
