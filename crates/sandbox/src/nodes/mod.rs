//! The nodes of a sandbox: what stands in for machines, kubelets and network agents.
//!
//! kwok keeps nodes alive and runs ordinary pods in name only. Pods of images that exist here as
//! programs are real processes ([`pods`]). The network agent is one interchangeable part
//! ([`agent::NodeAgent`]).

mod agent;
mod certgen;
mod container;
mod events;
mod exec;
mod external_secrets;
mod flux_operator;
mod health;
mod keep;
mod kubelet;
mod kwok;
mod node;
mod operators;
mod pod;
mod pods;
mod shell;
mod simulated_agent;
mod status;

use std::sync::Arc;

pub(super) use agent::NodeAgent;
pub(super) use container::{data, environment_of, expanded, image_of, token};
pub(super) use events::Events;
pub(super) use health::{Asked, Health};
pub(super) use keep::{Container, Prepared, keep};
pub(super) use kubelet::{Kubelet, log_file};
pub(super) use node::{create, set_power, set_ready};
pub(super) use operators::force_sync;
pub(super) use status::{ContainerLife, Life, PodAddress, Told, let_go, tell};
use tokio_util::sync::CancellationToken;

use super::certificates::Certificates;
use super::network::{Network, RealAgent};
use super::options::SandboxOptions;
use super::programs::Programs;
use super::sources::Sources;
use super::state::Folder;
use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::Result;
use bootstrapper_tools::Environment;

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
    /// The network, if it is real.
    pub(super) network: Option<Arc<Network>>,
    /// Serves what source-controller stores.
    pub(super) sources: Sources,
    /// What was told of pods that are processes.
    pub(super) told: Told,
}

/// Runs everything until it is cancelled; by then all its processes have ended.
pub(super) async fn run(site: Arc<Site>, kubelet: Kubelet, cancel: CancellationToken) -> Result<()> {
    let mut kwok = kwok::start(&site)?;
    let agent: Box<dyn NodeAgent> = match &site.network {
        Some(network) => Box::new(RealAgent::new(site.cluster.client(), Arc::clone(network))),
        None => Box::new(simulated_agent::SimulatedAgent::new(site.cluster.clone())),
    };
    tokio::select! {
        () = pods::run(Arc::clone(&site), cancel.clone()) => {}
        () = agent::run(&site.cluster, agent.as_ref()) => {}
        () = certgen::run(&site.cluster) => {}
        () = flux_operator::run(&site) => {}
        () = operators::run(&site) => {}
        ended = kubelet.run(Arc::clone(&site)) => ended?,
        () = async {
            let _ = kwok.wait().await;
            tracing::error!("kwok ended");
            cancel.cancelled().await;
        } => {}
    }
    kwok.kill().await;
    if let Some(network) = &site.network {
        network.end().await;
    }
    Ok(())
}

/// What is real, and what is not.
pub(super) fn stand_ins(is_network_real: bool) -> Vec<String> {
    let network: [&str; 2] = if is_network_real {
        [
            "stand-in: ordinary pods are kwok's: they run in name only; so do Hubble's relay and Envoy, which agents are told to do without",
            "real:     each node a network namespace with a Cilium agent of its own; the BGP router is a real one beside them",
        ]
    } else {
        [
            "stand-in: nodes and ordinary pods are kwok's: they run in name only",
            "stand-in: Cilium agents are simulated: node readiness, CiliumNodes and BGP sessions are told, not had",
        ]
    };
    let others = [
        "stand-in: flux-operator is simulated; it installs Flux's own manifests of the declared version",
        "stand-in: operators of certificates, storage, databases and metrics run in name: that their objects are ready is told; the vault of secrets makes its values up",
        "real:     etcd, Kubernetes' control plane, Helm, Cilium's chart and operator, Flux's source, kustomize and helm controllers",
    ];
    network.into_iter().chain(others).map(str::to_owned).collect()
}
