//! The nodes of a sandbox: what stands in for machines, kubelets and network agents.
//!
//! kwok keeps nodes alive and runs ordinary pods in name only. Pods of images that exist here as
//! programs are real processes ([`pods`]). The network agent is one interchangeable part
//! ([`agent::NodeAgent`]).

mod agent;
mod container;
mod flux_operator;
mod kwok;
mod log_server;
mod node;
mod operators;
mod pod;
mod pods;
mod simulated_agent;
mod status;

use std::sync::Arc;

pub(super) use log_server::LogServer;
pub(super) use node::create;
use tokio_util::sync::CancellationToken;

use super::certificates::Certificates;
use super::options::SandboxOptions;
use super::programs::Programs;
use super::state::Folder;
use crate::cluster::Cluster;
use crate::failure::Result;
use crate::tools::Environment;

/// All that the nodes need to know.
pub(super) struct Site {
    /// The API server, as its admin.
    pub(super) cluster: Cluster,
    /// Its address.
    pub(super) server: String,
    /// Its authority.
    pub(super) certificates: Certificates,
    /// The kubeconfig of the sandbox's own parts.
    pub(super) kubeconfig: std::path::PathBuf,
    /// The sandbox's files.
    pub(super) folder: Folder,
    /// What can be run.
    pub(super) programs: Programs,
    /// What programs need to reach what stands in for the internet.
    pub(super) environment: Environment,
    /// The sandbox's shape.
    pub(super) options: SandboxOptions,
}

/// Runs everything until it is cancelled; by then all its processes have ended.
pub(super) async fn run(site: Arc<Site>, logs: LogServer, cancel: CancellationToken) -> Result<()> {
    let mut kwok = kwok::start(&site)?;
    let agent = simulated_agent::SimulatedAgent::new(site.cluster.clone());
    tokio::select! {
        () = pods::run(Arc::clone(&site), cancel.clone()) => {}
        () = agent::run(&site.cluster, &agent) => {}
        () = flux_operator::run(&site) => {}
        () = operators::run(&site.cluster) => {}
        ended = logs.run(site.folder.clone(), &site.certificates) => ended?,
        () = async {
            let _ = kwok.wait().await;
            tracing::error!("kwok ended");
            cancel.cancelled().await;
        } => {}
    }
    kwok.kill().await;
    Ok(())
}

/// What is not the real thing.
pub(super) fn stand_ins() -> Vec<String> {
    [
        "stand-in: nodes and ordinary pods are kwok's: they run in name only",
        "stand-in: Cilium agents are simulated: node readiness, CiliumNodes and BGP sessions are told, not had",
        "stand-in: flux-operator is simulated; it installs Flux's own manifests of the declared version",
        "stand-in: operators of certificates, secrets, storage, databases and metrics run in name: that their objects are ready is told",
        "real:     etcd, Kubernetes' control plane, Helm, Cilium's chart and operator, Flux's source, kustomize and helm controllers",
    ]
    .map(str::to_owned)
    .into()
}
