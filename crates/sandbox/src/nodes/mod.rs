//! The nodes of a sandbox: simulated machines, kubelets and network agents.
//!
//! kwok keeps nodes alive and simulates most pods. Pods of images whose programs exist here are real processes
//! ([`pods`]). The network agent is interchangeable ([`agent::NodeAgent`]).

mod agent;
mod cert_manager;
mod certgen;
mod exec;
mod external_secrets;
mod issuing;
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

/// Runs everything until cancelled; by then all processes have exited.
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
        () = operators::run(&site) => {}
        ended = kubelet.run(Arc::clone(&site)) => ended?,
        () = async {
            let _ = kwok.wait().await;
            tracing::error!("kwok exited");
            cancel.cancelled().await;
        } => {}
    }
    kwok.kill().await;
    if let Some(network) = &site.network {
        network.end().await;
    }
    Ok(())
}

/// What is simulated.
pub(super) fn stand_ins(is_network_real: bool) -> Vec<String> {
    let network: [&str; 2] = if is_network_real {
        [
            "simulated: most pods (kwok), Hubble Relay and Envoy; no containers run",
            "real:      each node is a network namespace with its own Cilium agent; real BGP router",
        ]
    } else {
        [
            "simulated: nodes and most pods (kwok); no containers run",
            "simulated: Cilium agents; node readiness, CiliumNodes and BGP sessions are faked",
        ]
    };
    let others = [
        "simulated: operators of certificates, storage, databases and metrics; their objects are reported Ready; secret values are generated",
        "real:      etcd, the Kubernetes control plane, Helm, Cilium's chart and operator, flux-operator, Flux's source, kustomize and helm controllers",
    ];
    network.into_iter().chain(others).map(str::to_owned).collect()
}
