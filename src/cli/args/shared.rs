//! Arguments that several commands share.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, ValueEnum};

use bootstrapper_gitops::pipeline::{Selector, parse_duration};

/// Which repository and which cluster.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(crate) struct Target {
    /// The GitOps repository [default: searched upwards from the current folder]
    #[arg(long, value_name = "DIR", env = "BOOTSTRAPPER_REPO")]
    pub(crate) repo: Option<PathBuf>,

    /// The kubeconfig context [default: from bootstrapper.yaml, else the cluster's name]
    #[arg(long)]
    pub(crate) context: Option<String>,

    /// The kubeconfig file [default: $KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,

    /// Approve what the repository requests from this machine, for this call only: everything, or the
    /// list with this digest (for CI; see `bootstrapper trust`)
    #[arg(
        long,
        value_name = "DIGEST",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "all",
        env = "BOOTSTRAPPER_TRUST"
    )]
    pub(crate) trust: Option<String>,
}

/// Whether a verb works on a sandbox.
#[derive(Debug, Clone, Copy, Default, ClapArgs)]
pub(crate) struct SandboxFlag {
    /// Use the running sandbox of the cluster
    #[cfg(feature = "sandbox")]
    #[arg(long, conflicts_with_all = ["context", "kubeconfig"])]
    pub(crate) sandbox: bool,
}

impl SandboxFlag {
    /// Whether the sandbox was asked for.
    #[cfg(feature = "sandbox")]
    pub(crate) fn is_set(self) -> bool {
        self.sandbox
    }

    /// Never: this program was built without sandboxes.
    #[cfg(not(feature = "sandbox"))]
    #[allow(clippy::unused_self, reason = "as with sandboxes")]
    pub(crate) fn is_set(self) -> bool {
        false
    }
}

/// Which part of the pipeline.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(crate) struct Selection {
    /// Only these stages or steps (`STAGE` or `STAGE/STEP`)
    #[arg(long, value_name = "STAGE[/STEP]", value_delimiter = ',')]
    only: Vec<String>,

    /// Start at this stage or step
    #[arg(long, value_name = "STAGE[/STEP]")]
    from: Option<String>,

    /// Stop after this stage or step
    #[arg(long, value_name = "STAGE[/STEP]")]
    until: Option<String>,

    /// Skip these stages or steps
    #[arg(long, value_name = "STAGE[/STEP]", value_delimiter = ',')]
    skip: Vec<String>,

    /// Fail a step after this long [default: from the task files]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,

    /// Fail a step after this long without progress [default: from the task files]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) inactivity: Option<Duration>,
}

impl Selection {
    /// The whole pipeline.
    pub(crate) fn whole() -> Self {
        Self::default()
    }

    pub(crate) fn selector(&self) -> Selector {
        Selector {
            only: self.only.clone(),
            from: self.from.clone(),
            until: self.until.clone(),
            skip: self.skip.clone(),
        }
    }
}

#[derive(Debug, Clone, Copy, ClapArgs)]
pub(crate) struct OutputArgs {
    /// Output format
    #[arg(long, short, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Text,
    Json,
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}
