//! Clusters of the mesh that a cluster does not hear of, though its own side is ready. Nothing waits for
//! them: of two clusters that are bootstrapped one after the other, the first would never be done.

use std::time::Duration;

use bootstrapper_cluster::Cluster;
use bootstrapper_cluster::cilium::{self, Listeners};
use bootstrapper_core::failure::Result;

/// A remark holds nobody up: the programs of a node that is off never answer.
const LIMIT: Duration = Duration::from_secs(3);

/// One remark for each peer that is declared and not heard of. Who cannot be asked, does not tell.
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
        if let Some(deaf) = first_deaf(cluster, &listeners, peer).await? {
            remarks.push(format!(
                "{deaf} not ready with cluster {peer} of the mesh; once that is up, `bootstrapper verify {own} {peer}` tells why"
            ));
        }
    }
    Ok(remarks)
}

/// Agents hear of others from kvstoremesh: if that does not, they are not asked.
async fn first_deaf(cluster: &Cluster, listeners: &[Listeners], peer: &str) -> Result<Option<String>> {
    for listeners in listeners {
        let deaf = listeners.deaf_to(cluster, peer).await?.len();
        if deaf > 0 {
            return Ok(Some(format!("{deaf} of {} {} are", listeners.count(), listeners.name())));
        }
    }
    Ok(None)
}
