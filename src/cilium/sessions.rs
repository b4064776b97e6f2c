//! BGP sessions, as a node's agent has them.

use std::time::Duration;

use serde_json::Value;

use crate::cluster::Cluster;
use crate::failure::{Failure, Result};
use crate::object::ObjectRef;
use crate::readiness;

/// The container that an agent runs in.
pub const AGENT_CONTAINER: &str = "cilium-agent";

/// How long an agent may take to answer: one that hangs never does.
const LIMIT: Duration = Duration::from_secs(5);

/// What the agent in this pod says of its sessions, as `cilium-dbg bgp peers` writes it.
pub async fn sessions_of(cluster: &Cluster, agent: &ObjectRef) -> Result<Value> {
    let answer = cluster.exec(agent, AGENT_CONTAINER, &readiness::PEERS_OF_AGENT, LIMIT).await?;
    serde_json::from_str(&answer.stdout).map_err(|_| {
        Failure::step(format!("{agent} does not tell of its sessions"))
            .because(answer.stderr.lines().next().unwrap_or_default())
    })
}
