//! `report`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

#[derive(Debug, ClapArgs)]
pub(crate) struct ReportArgs {
    /// Name of the cluster [default: that of the latest run on this machine]
    pub(crate) cluster: Option<String>,

    /// Output format
    #[arg(long, short, value_enum, default_value_t = ReportOutput::Md)]
    pub(crate) output: ReportOutput,

    /// Write to this file, which only you can open, instead of stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportOutput {
    /// A self-contained page
    Html,
    /// Markdown
    Md,
    /// All data, as JSON
    Json,
}
