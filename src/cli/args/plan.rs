//! `plan`, `status` and `handover`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{OutputArgs, SandboxFlag, Selection, Target};

#[derive(Debug, ClapArgs)]
pub(crate) struct PlanArgs {
    /// Name of the cluster
    pub(crate) cluster: String,

    #[command(flatten)]
    pub(crate) sandbox: SandboxFlag,

    #[command(flatten)]
    pub(crate) target: Target,

    #[command(flatten)]
    pub(crate) selection: Selection,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct PlanVerbArgs {
    /// Names of the clusters
    #[arg(required = true, value_name = "CLUSTER")]
    pub(crate) clusters: Vec<String>,

    /// Show the plan by the repository alone, without comparing it with a cluster
    #[arg(long)]
    pub(crate) offline: bool,

    /// Also write the plan to this file, which only you can open: `bootstrapper CLUSTER --plan FILE` stops
    /// if the cluster or the repository has changed since
    #[arg(long, value_name = "FILE", conflicts_with = "offline")]
    pub(crate) out: Option<PathBuf>,

    /// Exit with 10 if a run would change something
    #[arg(long, conflicts_with = "offline")]
    pub(crate) exit_code: bool,

    #[command(flatten)]
    pub(crate) sandbox: SandboxFlag,

    #[command(flatten)]
    pub(crate) target: Target,

    #[command(flatten)]
    pub(crate) selection: Selection,

    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

impl PlanVerbArgs {
    /// The same for one of its clusters.
    pub(crate) fn of(&self, cluster: &str) -> PlanArgs {
        PlanArgs {
            cluster: cluster.to_owned(),
            sandbox: self.sandbox,
            target: self.target.clone(),
            selection: self.selection.clone(),
            output: self.output,
        }
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,

    /// Repeat until everything is ready; prints what changes
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct HandoverArgs {
    #[command(flatten)]
    pub(crate) plan: PlanArgs,

    /// Exit with 1 if Flux changes, or has changed, what the bootstrap installed
    #[arg(long)]
    pub(crate) check: bool,
}
