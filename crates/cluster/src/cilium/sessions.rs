//! BGP sessions, as a node's agent has them.

use serde_json::Value;

use super::agent::ask_agent;
use crate::Cluster;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_readiness as readiness;

/// What the agent in this pod says of its sessions, as `cilium-dbg bgp peers` writes it.
pub async fn sessions_of(cluster: &Cluster, agent: &ObjectRef) -> Result<Value> {
    let answer = ask_agent(cluster, agent, &readiness::PEERS_OF_AGENT).await?;
    serde_json::from_str(&answer.stdout).map_err(|_| {
        Failure::step(format!("{agent} does not tell of its sessions"))
            .because(answer.stderr.lines().next().unwrap_or_default())
    })
}
