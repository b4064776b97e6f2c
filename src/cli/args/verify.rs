//! `verify`.

use clap::Args as ClapArgs;

use super::{OutputArgs, SandboxFlag, Target};

#[derive(Debug, ClapArgs)]
pub(crate) struct VerifyArgs {
    /// Names of the clusters; clusters of one mesh are also checked against each other
    #[arg(value_name = "CLUSTER", required = true)]
    pub(crate) clusters: Vec<String>,

    #[command(flatten)]
    pub(crate) sandbox: SandboxFlag,

    #[command(flatten)]
    pub(crate) target: Target,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}
