//! What says why: `doctor`, `explain`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{OutputArgs, Target};

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct DoctorArgs {
    /// The cluster: its kubeconfig context has the same name, unless bootstrapper.yaml says otherwise
    pub(in crate::cli) cluster: String,

    /// Only what lies in these namespaces [default: everything]
    #[arg(long, short, value_delimiter = ',')]
    pub(in crate::cli) namespace: Vec<String>,

    /// Look at the sandbox of this cluster
    #[arg(long, conflicts_with_all = ["context", "kubeconfig"])]
    pub(in crate::cli) sandbox: bool,

    #[command(flatten)]
    pub(in crate::cli) target: Target,

    #[command(flatten)]
    pub(in crate::cli) output: OutputArgs,
}

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct ExplainArgs {
    /// The code; all of them if none
    pub(in crate::cli) code: Option<String>,

    /// Write the pages of the documentation into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "code", hide = true)]
    pub(in crate::cli) write: Option<PathBuf>,

    #[command(flatten)]
    pub(in crate::cli) output: OutputArgs,
}
