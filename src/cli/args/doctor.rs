//! What says why: `doctor`, `explain`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{OutputArgs, SandboxFlag, Target};

#[derive(Debug, ClapArgs)]
pub(crate) struct DoctorArgs {
    /// The cluster: its kubeconfig context has the same name, unless bootstrapper.yaml says otherwise
    pub(crate) cluster: String,

    /// Only what lies in these namespaces [default: everything]
    #[arg(long, short, value_delimiter = ',')]
    pub(crate) namespace: Vec<String>,

    #[command(flatten)]
    pub(crate) sandbox: SandboxFlag,

    #[command(flatten)]
    pub(crate) target: Target,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ExplainArgs {
    /// The code; all of them if none
    pub(crate) code: Option<String>,

    /// Write the pages of the documentation into this folder
    #[arg(long, value_name = "DIR", conflicts_with = "code", hide = true)]
    pub(crate) write: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
