//! A node's agent: programs in its container, and its BGP sessions.

use std::time::Duration;

use serde_json::Value;

use crate::{Cluster, Executed};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_readiness::cilium::{AGENT_CONTAINER, PEERS_OF_AGENT};

/// The timeout for an agent: a hanging agent never answers.
const LIMIT: Duration = Duration::from_secs(5);

/// Runs a program in this pod's agent container.
pub async fn ask_agent(cluster: &Cluster, agent: &ObjectRef, command: &[&str]) -> Result<Executed> {
    cluster.exec(agent, AGENT_CONTAINER, command, LIMIT).await
}

/// The BGP sessions of the agent in this pod, from `cilium-dbg bgp peers`.
pub async fn sessions_of(cluster: &Cluster, agent: &ObjectRef) -> Result<Value> {
    let answer = ask_agent(cluster, agent, &PEERS_OF_AGENT).await?;
    serde_json::from_str(&answer.stdout).map_err(|_| {
        Failure::step(format!("{agent} reports no BGP sessions"))
            .because(answer.stderr.lines().next().unwrap_or_default())
    })
}
