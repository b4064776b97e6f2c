//! The arguments of a run.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};

use super::{Selection, Target};
use bootstrapper_report::Progress;

#[derive(Debug, ClapArgs)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct RunArgs {
    /// Clusters to bootstrap, in this order
    #[arg(value_name = "CLUSTER")]
    pub(crate) clusters: Vec<String>,

    /// Show what would change, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Run only what this file of `plan --out` says: stop if the cluster or the repository has changed since
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub(crate) plan: Option<PathBuf>,

    #[cfg(feature = "sandbox")]
    #[command(flatten)]
    pub(crate) sandbox: super::RunSandboxArgs,

    /// Take over fields that other field managers own
    #[arg(long)]
    pub(crate) force_conflicts: bool,

    /// Stop before the hand-over if Flux would change what the bootstrap installed
    #[arg(long)]
    pub(crate) strict: bool,

    /// Take the lock from the run that holds it (that run stops before its next write)
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) break_lock: bool,

    /// Skip confirmation prompts
    #[arg(long, requires = "break_lock")]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) target: Target,

    #[command(flatten)]
    pub(crate) selection: Selection,

    /// Also say what a sandbox simulates, and how it starts
    #[arg(long, short)]
    pub(crate) verbose: bool,

    /// Progress output
    #[arg(long, value_enum, default_value_t = ProgressStyle::Auto)]
    pub(crate) progress: ProgressStyle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressStyle {
    /// Live bars on a terminal, plain lines otherwise
    Auto,
    /// Live bars
    Tty,
    /// Few lines, in foldable groups on GitHub and GitLab (what auto does there)
    Ci,
    /// One line per event
    Plain,
    /// One JSON object per line, on stdout
    Json,
    /// Failures and the summary only
    Quiet,
}

impl From<ProgressStyle> for Progress {
    fn from(style: ProgressStyle) -> Self {
        match style {
            ProgressStyle::Auto => Self::Auto,
            ProgressStyle::Tty => Self::Tty,
            ProgressStyle::Ci => Self::Ci,
            ProgressStyle::Plain => Self::Plain,
            ProgressStyle::Json => Self::Json,
            ProgressStyle::Quiet => Self::Quiet,
        }
    }
}
