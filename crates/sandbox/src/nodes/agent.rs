//! The network agent of a node: the one component that can be real or simulated.

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures::StreamExt as _;

use bootstrapper_cluster::{Cluster, seen};
use bootstrapper_readiness as readiness;

/// The effects of a node's network agent on the cluster.
#[async_trait]
pub(super) trait NodeAgent: Send + Sync {
    /// The agent's pod runs on `node`.
    async fn started(&self, node: &str);
    /// The agent's pod is deleted from `node`.
    async fn stopped(&self, node: &str);
    /// Runs in the background while the sandbox runs.
    async fn work(&self);
}

/// Watches the agents' pods, and notifies the agent.
pub(super) async fn run(cluster: &Cluster, agent: &dyn NodeAgent) {
    tokio::join!(follow(cluster, agent), agent.work());
}

async fn follow(cluster: &Cluster, agent: &dyn NodeAgent) {
    let mut pods = seen(cluster.follow_all(readiness::cilium::agents()));
    let mut running: BTreeSet<String> = BTreeSet::new();
    while let Some(pods) = pods.next().await {
        let now: BTreeSet<String> = pods
            .iter()
            .filter(|pod| readiness::verdict(pod).is_ready())
            .filter_map(|pod| Some(pod.data["spec"]["nodeName"].as_str()?.to_owned()))
            .collect();
        for node in now.difference(&running) {
            agent.started(node).await;
        }
        for node in running.difference(&now) {
            agent.stopped(node).await;
        }
        running = now;
    }
}
