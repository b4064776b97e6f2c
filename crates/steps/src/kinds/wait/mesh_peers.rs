//! Mesh peers that a cluster is not connected to, though its own side is ready. No step waits for them: if two
//! clusters are bootstrapped one after the other, the first would never finish.

use std::time::Duration;

use bootstrapper_cluster::Cluster;
use bootstrapper_cluster::cilium::{self, Listeners};
use bootstrapper_core::failure::Result;

/// A remark must not delay the step: programs on a node that is down never answer.
const LIMIT: Duration = Duration::from_secs(3);

/// One remark for each declared peer that is not connected; none if a program cannot be queried.
pub(super) async fn remarks(cluster: &Cluster) -> Vec<String> {
    tokio::time::timeout(LIMIT, ask(cluster)).await.ok().and_then(Result::ok).unwrap_or_default()
}

async fn ask(cluster: &Cluster) -> Result<Vec<String>> {
    let Some(own) = cilium::cluster_name(cluster).await? else { return Ok(Vec::new()) };
    let peers = cilium::peers(cluster, &own).await?;
    if peers.is_empty() {
        return Ok(Vec::new());
    }
    let listeners = cilium::listeners(cluster).await?;
    let mut remarks = Vec::new();
    for peer in &peers {
        if let Some(deaf) = first_not_connected(cluster, &listeners, peer).await? {
            remarks.push(format!(
                "{deaf} not ready with cluster {peer} of the mesh; once that is up, `bootstrapper verify {own} {peer}` shows why"
            ));
        }
    }
    Ok(remarks)
}

/// Agents sync with peers through kvstoremesh: if that is not connected, they are not queried.
async fn first_not_connected(
    cluster: &Cluster,
    listeners: &[Listeners],
    peer: &str,
) -> Result<Option<String>> {
    for listeners in listeners {
        let deaf = listeners.not_connected_to(cluster, peer).await?.len();
        if deaf > 0 {
            return Ok(Some(format!("{deaf} of {} {} are", listeners.count(), listeners.name())));
        }
    }
    Ok(None)
}
