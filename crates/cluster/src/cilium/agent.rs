//! Programs in the container of a node's agent.

use std::time::Duration;

use crate::{Cluster, Executed};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::ObjectRef;
use bootstrapper_readiness::cilium::AGENT_CONTAINER;

/// How long an agent may take to answer: one that hangs never does.
const LIMIT: Duration = Duration::from_secs(5);

/// Runs a program beside the agent in this pod.
pub async fn ask_agent(cluster: &Cluster, agent: &ObjectRef, command: &[&str]) -> Result<Executed> {
    cluster.exec(agent, AGENT_CONTAINER, command, LIMIT).await
}
