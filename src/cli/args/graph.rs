//! `graph`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

#[derive(Debug, ClapArgs)]
pub(crate) struct GraphArgs {
    /// Name of the cluster [default: all]
    pub(crate) cluster: Option<String>,

    /// Output format
    #[arg(long, short, value_enum, default_value_t = GraphFormat::Text)]
    pub(crate) format: GraphFormat,

    /// The GitOps repository [default: searched upwards from the current folder]
    #[arg(long, value_name = "DIR", env = "BOOTSTRAPPER_REPO")]
    pub(crate) repo: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum GraphFormat {
    Text,
    Mermaid,
    Svg,
}
