//! `list`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::OutputArgs;

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct ListArgs {
    /// The GitOps repository [default: found upwards from here]
    #[arg(long, value_name = "DIR", env = "BOOTSTRAPPER_REPO")]
    pub(in crate::cli) repo: Option<PathBuf>,

    #[command(flatten)]
    pub(in crate::cli) output: OutputArgs,
}
