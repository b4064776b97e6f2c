//! `graph`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

#[derive(Debug, ClapArgs)]
pub(crate) struct GraphArgs {
    /// Only this cluster [default: all]
    pub(crate) cluster: Option<String>,

    /// Text for a terminal, a Mermaid flowchart, or a drawing
    #[arg(long, short, value_enum, default_value_t = GraphFormat::Text)]
    pub(crate) format: GraphFormat,

    /// The GitOps repository [default: found upwards from here]
    #[arg(long, value_name = "DIR", env = "BOOTSTRAPPER_REPO")]
    pub(crate) repo: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum GraphFormat {
    Text,
    Mermaid,
    Svg,
}
