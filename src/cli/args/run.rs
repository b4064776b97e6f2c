//! A run.

use clap::{Args as ClapArgs, ValueEnum};

use super::{Selection, Target};
use bootstrapper_report::Progress;

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct RunArgs {
    /// The clusters to bootstrap, one after the other
    #[arg(value_name = "CLUSTER")]
    pub(crate) clusters: Vec<String>,

    /// Observe everything and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[cfg(feature = "sandbox")]
    #[command(flatten)]
    pub(crate) sandbox: super::RunSandboxArgs,

    /// Take fields over from other owners instead of refusing
    #[arg(long)]
    pub(crate) force_conflicts: bool,

    /// Stop before Flux takes over if it would change what the bootstrap installed
    #[arg(long)]
    pub(crate) strict: bool,

    /// Take the cluster from the run that holds its lock: that run stops before its next write
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) break_lock: bool,

    /// Agree beforehand to what would be asked
    #[arg(long, requires = "break_lock")]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) target: Target,

    #[command(flatten)]
    pub(crate) selection: Selection,

    /// How to show progress
    #[arg(long, value_enum, default_value_t = ProgressStyle::Auto)]
    pub(crate) progress: ProgressStyle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressStyle {
    /// Live bars on a terminal, plain lines elsewhere
    Auto,
    /// Live bars
    Tty,
    /// A line for each thing that happens
    Plain,
    /// A JSON object a line, on stdout
    Json,
    /// Failures and the end
    Quiet,
}

impl From<ProgressStyle> for Progress {
    fn from(style: ProgressStyle) -> Self {
        match style {
            ProgressStyle::Auto => Self::Auto,
            ProgressStyle::Tty => Self::Tty,
            ProgressStyle::Plain => Self::Plain,
            ProgressStyle::Json => Self::Json,
            ProgressStyle::Quiet => Self::Quiet,
        }
    }
}
