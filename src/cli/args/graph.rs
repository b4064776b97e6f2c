//! `graph`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct GraphArgs {
    /// Only this cluster [default: all]
    pub(in crate::cli) cluster: Option<String>,

    /// Text for a terminal, a Mermaid flowchart, or a drawing
    #[arg(long, short, value_enum, default_value_t = GraphFormat::Text)]
    pub(in crate::cli) format: GraphFormat,

    /// The GitOps repository [default: found upwards from here]
    #[arg(long, value_name = "DIR", env = "BOOTSTRAPPER_REPO")]
    pub(in crate::cli) repo: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum GraphFormat {
    Text,
    Mermaid,
    Svg,
}
