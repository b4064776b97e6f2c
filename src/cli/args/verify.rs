//! `verify`.

use clap::Args as ClapArgs;

use super::{OutputArgs, SandboxFlag, Target};

#[derive(Debug, ClapArgs)]
pub(crate) struct VerifyArgs {
    /// The cluster; several of a mesh also call each other
    #[arg(value_name = "CLUSTER", required = true)]
    pub(crate) clusters: Vec<String>,

    #[command(flatten)]
    pub(crate) sandbox: SandboxFlag,

    #[command(flatten)]
    pub(crate) target: Target,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
