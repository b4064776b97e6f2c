//! `reconcile`.

use std::time::Duration;

use clap::Args as ClapArgs;

use super::run::ProgressStyle;
use super::shared::duration;
use super::{SandboxFlag, Target};

#[derive(Debug, ClapArgs)]
pub(crate) struct ReconcileArgs {
    /// Name of the cluster
    pub(crate) cluster: String,

    /// Kustomizations and HelmReleases to reconcile: NAME, NAMESPACE/NAME or KIND/NAME [default: all that are
    /// not ready]
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,

    /// Show what would be requested, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) sandbox: SandboxFlag,

    #[command(flatten)]
    pub(crate) target: Target,

    /// Fail a step after this long
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "15m")]
    pub(crate) timeout: Duration,

    /// Fail a step after this long without progress
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "5m")]
    pub(crate) inactivity: Duration,

    /// Progress output
    #[arg(long, value_enum, default_value_t = ProgressStyle::Auto)]
    pub(crate) progress: ProgressStyle,
}
