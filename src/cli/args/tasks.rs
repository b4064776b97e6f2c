//! `bootstrapper tasks`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct TasksArgs {
    /// The cluster; may be omitted if the repository has only one
    pub(crate) cluster: Option<String>,

    /// The GitOps repository
    #[arg(long, value_name = "DIR")]
    pub(crate) repo: Option<PathBuf>,
}
