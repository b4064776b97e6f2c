//! `list`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::OutputArgs;

#[derive(Debug, ClapArgs)]
pub(crate) struct ListArgs {
    /// The GitOps repository [default: searched upwards from the current folder]
    #[arg(long, value_name = "DIR", env = "BOOTSTRAPPER_REPO")]
    pub(crate) repo: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
