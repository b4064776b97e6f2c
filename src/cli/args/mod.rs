//! What can be said on the command line, by verb.

mod clean;
mod convert;
mod doctor;
mod graph;
mod history;
mod list;
mod new_cluster;
mod plan;
mod run;
#[cfg(feature = "sandbox")]
mod sandbox;
mod schema;
mod shared;
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
pub(super) use list::ListArgs;
pub(super) use new_cluster::NewClusterArgs;
pub(super) use plan::{HandoverArgs, PlanArgs};
pub(super) use run::RunArgs;
#[cfg(feature = "sandbox")]
pub(super) use sandbox::{FaultName, Network, RunSandboxArgs, SandboxArgs, SandboxVerb};
pub(super) use schema::{SchemaArgs, SchemaOf};
pub(super) use shared::{Output, OutputArgs, SandboxFlag, Selection, Target};
pub(super) use trust::TrustArgs;
pub(super) use validate::{FindingsOutput, ValidateArgs};
pub(super) use verify::VerifyArgs;

/// Carries a Kubernetes cluster from "the API server answers" to "Flux owns everything and it is
/// healthy".
///
/// `bootstrapper infra` bootstraps the cluster `infra` of the repository. It can be stopped at any
/// point and run again: it finishes what is missing and touches nothing that is already right.
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
    /// Say what a run would do, and write nothing
    Plan(PlanArgs),
    /// Say what is ready and what each thing still waits for
    Status(PlanArgs),
    /// Say what Flux changes as it takes over, before it does; or what it changed
    ///
    /// Renders what Flux will apply and asks the API server, by dry runs, what would come of it.
    Handover(HandoverArgs),
    /// Say which runs a cluster has seen: who began each, from where, and what came of it
    History(HistoryArgs),
    /// Show what the bootstrap has made, the last first, and remove it after asking
    ///
    /// Removes only what is there and was applied by a bootstrap. Waits until it is gone, and says what
    /// holds what does not go.
    Clean(CleanArgs),
    /// Name the root causes of whatever is the matter with a cluster
    ///
    /// On any cluster, at any time, whatever bootstrapped it. Reads only, and never the values of
    /// Secrets. Exits with 0 if nothing is wrong (slow is not wrong), 1 if a root cause is named, and
    /// 5 if there is no way to the cluster: then it says why.
    Doctor(DoctorArgs),
    /// Say what the code of a failure means, as BS-POD-001; list all of them
    Explain(ExplainArgs),
    /// List the clusters of the repository
    List(ListArgs),
    /// Show what the repository asks of this machine, and agree to it
    ///
    /// Environment variables, files, 1Password, SOPS keys, kubeconfig contexts, commands: nothing of them is
    /// read or run for a repository before you agree, once for each repository, and again when it changes.
    Trust(TrustArgs),
    /// Find what is wrong with the repository, without a cluster
    ///
    /// Exits with 0 if there is nothing worse than a warning, and with 3 otherwise.
    Validate(ValidateArgs),
    /// Draw the Kustomizations and releases of the clusters, in the order in which Flux can do them
    Graph(GraphArgs),
    /// Write the folder of a further cluster, like one that is there
    NewCluster(NewClusterArgs),
    /// Turn objects that are gone into those that took their place
    #[command(subcommand)]
    Convert(ConvertVerb),
    /// Check that the cluster's pods can talk: to each other, to Services, from outside
    Verify(VerifyArgs),
    /// A throwaway cluster on this machine: a real control plane, simulated nodes
    #[cfg(feature = "sandbox")]
    #[command(subcommand)]
    Sandbox(SandboxVerb),
    /// Print the JSON Schema of the task files or of bootstrapper.yaml
    Schema(SchemaArgs),
    /// Change what a chart renders to, as its HelmRelease says (what Helm runs)
    #[command(hide = true)]
    PostRender {
        /// What is to be done.
        job: PathBuf,
    },
    /// Run a program so that nothing of it outlives the run that wants it (what that run starts)
    #[command(hide = true)]
    Guard {
        /// The process of that run.
        parent: u32,
        /// The revision of a release that Helm will make.
        #[arg(long)]
        revision: Option<u64>,
        /// Temporary folders of that run.
        #[arg(long)]
        private: Vec<PathBuf>,
        /// What the program may take.
        #[arg(long, default_value_t)]
        limits: bootstrapper_tools::Limits,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// Print a completion script for a shell
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}
