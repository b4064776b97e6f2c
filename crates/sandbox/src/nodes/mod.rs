//! The nodes of a sandbox: what stands in for machines, kubelets and network agents.
//!
//! kwok keeps nodes alive and runs ordinary pods in name only. Pods of images that exist here as
//! programs are real processes ([`pods`]). The network agent is one interchangeable part
//! ([`agent::NodeAgent`]).

mod agent;
mod certgen;
mod exec;
mod external_secrets;
mod flux_operator;
mod kubelet_api;
mod kwok;
mod loopback_pod;
mod operators;
mod pods;
mod real_agent;
mod shell;
mod simulated_agent;

use std::sync::Arc;

use agent::NodeAgent;
pub(super) use kubelet_api::KubeletApi;
pub(super) use operators::force_sync;
use real_agent::RealAgent;
use simulated_agent::SimulatedAgent;
use tokio_util::sync::CancellationToken;

use super::site::Site;
use bootstrapper_core::failure::Result;

/// Runs everything until it is cancelled; by then all its processes have ended.
pub(super) async fn run(site: Arc<Site>, kubelet: KubeletApi, cancel: CancellationToken) -> Result<()> {
    let mut kwok = kwok::start(&site)?;
    let agent: Box<dyn NodeAgent> = match &site.network {
        Some(network) => Box::new(RealAgent::new(site.cluster.client(), Arc::clone(network))),
        None => Box::new(SimulatedAgent::new(site.cluster.clone())),
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
