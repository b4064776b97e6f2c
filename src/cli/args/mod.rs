//! The arguments of each command.

mod clean;
mod convert;
mod doctor;
mod graph;
mod history;
mod init;
mod list;
mod new_cluster;
mod plan;
mod reconcile;
mod report;
mod run;
#[cfg(feature = "sandbox")]
mod sandbox;
mod schema;
mod shared;
mod tasks;
mod trust;
mod validate;
mod verify;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub(super) use clean::CleanArgs;
pub(super) use convert::{ConvertBgpArgs, ConvertVerb};
pub(super) use doctor::{DoctorArgs, ExplainArgs};
pub(super) use graph::{GraphArgs, GraphFormat};
pub(super) use history::HistoryArgs;
pub(super) use init::InitArgs;
pub(super) use list::ListArgs;
pub(super) use new_cluster::NewClusterArgs;
pub(super) use plan::{HandoverArgs, PlanArgs, PlanVerbArgs, StatusArgs};
pub(super) use reconcile::ReconcileArgs;
pub(super) use report::{ReportArgs, ReportOutput};
pub(super) use run::RunArgs;
#[cfg(feature = "sandbox")]
pub(super) use sandbox::{FaultName, Network, RunSandboxArgs, SandboxArgs, SandboxVerb};
pub(super) use schema::{SchemaArgs, SchemaOf};
pub(super) use shared::{Output, OutputArgs, SandboxFlag, Selection, Target};
pub(super) use tasks::TasksArgs;
pub(super) use trust::TrustArgs;
pub(super) use validate::{FindingsOutput, ValidateArgs};
pub(super) use verify::VerifyArgs;

/// Bootstrap Kubernetes clusters from a GitOps repository, up to the hand-over to Flux.
///
/// `bootstrapper infra` bootstraps the cluster `infra` of the repository. A run can be interrupted at any
/// point: the next one resumes there, and skips what is up to date.
#[derive(Debug, Parser)]
#[command(
    name = "bootstrapper",
    version,
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true
)]
pub struct Args {
    #[command(subcommand)]
    pub(super) verb: Option<Verb>,

    #[command(flatten)]
    pub(super) run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Show what a run would change
    Plan(PlanVerbArgs),
    /// Show what is ready, and what each step is waiting for
    Status(StatusArgs),
    /// Show what Flux will change at the hand-over, or what it changed
    ///
    /// Renders what Flux will apply, and compares it with the cluster by server-side dry runs.
    Handover(HandoverArgs),
    /// Request reconciliation from Flux, and follow it to the outcome
    ///
    /// Requests reconciliation of the source, the root Kustomization and the named objects, in this order, as
    /// `flux reconcile` does, and waits until they are ready at the new revision. Without names, retries all
    /// that failed. A named HelmRelease with exhausted retries is reset. Works on any cluster of the repository
    /// that Flux owns, however it was bootstrapped.
    Reconcile(ReconcileArgs),
    /// Show previous runs
    History(HistoryArgs),
    /// Show the timeline of the latest run on this machine
    ///
    /// When each step ran, what it did and waited for, retries, API requests, the critical path and what bounded
    /// it, compared with the previous run of the cluster. Every run leaves the same as a page, and prints where.
    Report(ReportArgs),
    /// Uninstall what the bootstrap installed
    ///
    /// Lists the objects that a bootstrap applied, asks for confirmation, and deletes them in reverse order.
    /// Waits for each deletion, and reports what blocks it.
    Clean(CleanArgs),
    /// Diagnose a cluster
    ///
    /// Works on any cluster, however it was bootstrapped. Writes nothing, and never reads the values of
    /// Secrets. Exits with 0 if no problem is found (slow rollouts do not count), with 1 if root causes
    /// are found, and with 5 if the cluster cannot be reached.
    Doctor(DoctorArgs),
    /// Explain a failure code, or list all
    Explain(ExplainArgs),
    /// Write bootstrapper.yaml for a repository, and show what replaces its present bootstrap
    ///
    /// Finds the kubeconfig context of each cluster, and the Secrets that nothing in the repository provides, with
    /// who needs them and where their values probably are. Reads Taskfiles, justfiles, mise, helmfiles and scripts,
    /// and prints a Markdown table: what a run does instead of each of their commands. Runs none of them, and
    /// writes nothing but bootstrapper.yaml, which it never overwrites.
    Init(InitArgs),
    /// List the clusters of the repository
    List(ListArgs),
    /// Print the pipeline that would run, as a task file to start from
    ///
    /// A repository without `tasks/*.yaml` gets a pipeline that is derived from what the cluster declares:
    /// each step says why it is there.
    Tasks(TasksArgs),
    /// Review and approve what the repository requests from this machine
    ///
    /// A repository can request environment variables, files, 1Password items, SOPS keys, kubeconfig contexts
    /// and commands. None of them is read or run until you approve it, once per repository, and again when
    /// the request changes.
    Trust(TrustArgs),
    /// Validate the repository, without a cluster
    ///
    /// Exits with 0 if there are no errors (warnings are allowed), and with 3 otherwise.
    Validate(ValidateArgs),
    /// Draw Kustomizations and HelmReleases in reconciliation order
    Graph(GraphArgs),
    /// Scaffold a new cluster from an existing one
    NewCluster(NewClusterArgs),
    /// Migrate removed APIs to their replacements
    #[command(subcommand)]
    Convert(ConvertVerb),
    /// Check connectivity between pods, to Services, and from outside the cluster
    Verify(VerifyArgs),
    /// Manage throwaway clusters on this machine (real control plane, simulated nodes)
    #[cfg(feature = "sandbox")]
    #[command(subcommand)]
    Sandbox(SandboxVerb),
    /// Print the JSON Schema of the task files or of bootstrapper.yaml
    Schema(SchemaArgs),
    /// Apply the post-renderers of a HelmRelease (called by Helm)
    #[command(hide = true)]
    PostRender {
        /// The job file
        job: PathBuf,
    },
    /// Run a program and stop it with the run that started it (called by a run)
    #[command(hide = true)]
    Guard {
        /// The process ID of that run
        parent: u32,
        /// The release revision that Helm will create
        #[arg(long)]
        revision: Option<u64>,
        /// Temporary folders of that run
        #[arg(long)]
        private: Vec<PathBuf>,
        /// The resource limits of the program
        #[arg(long, default_value_t)]
        limits: bootstrapper_tools::Limits,
        /// The program and its arguments
        #[arg(last = true, required = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// Print a shell completion script
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}
