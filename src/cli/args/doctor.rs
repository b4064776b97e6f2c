//! `doctor` and `explain`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{OutputArgs, SandboxFlag, Target};

#[derive(Debug, ClapArgs)]
pub(crate) struct DoctorArgs {
    /// Name of the cluster, or of its kubeconfig context
    pub(crate) cluster: String,

    /// Only these namespaces [default: all]
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
    /// The failure code, such as BS-POD-001 [default: list all]
    pub(crate) code: Option<String>,

    /// Write the documentation pages to this folder
    #[arg(long, value_name = "DIR", conflicts_with = "code", hide = true)]
    pub(crate) write: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
