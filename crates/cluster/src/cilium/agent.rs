//! A node's agent: programs in its container, and what it says of its BGP sessions.

use std::time::Duration;

use serde_json::Value;

use crate::{Cluster, Executed};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_readiness::cilium::{AGENT_CONTAINER, PEERS_OF_AGENT};

/// How long an agent may take to answer: one that hangs never does.
const LIMIT: Duration = Duration::from_secs(5);

/// Runs a program beside the agent in this pod.
pub async fn ask_agent(cluster: &Cluster, agent: &ObjectRef, command: &[&str]) -> Result<Executed> {
    cluster.exec(agent, AGENT_CONTAINER, command, LIMIT).await
}

/// What the agent in this pod says of its sessions, as `cilium-dbg bgp peers` writes it.
pub async fn sessions_of(cluster: &Cluster, agent: &ObjectRef) -> Result<Value> {
    let answer = ask_agent(cluster, agent, &PEERS_OF_AGENT).await?;
    serde_json::from_str(&answer.stdout).map_err(|_| {
        Failure::step(format!("{agent} does not tell of its sessions"))
            .because(answer.stderr.lines().next().unwrap_or_default())
    })
}
