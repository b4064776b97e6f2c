//! Programs in the container of a node's agent.

use std::time::Duration;

use crate::{Cluster, Executed};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::ObjectRef;

/// The container that an agent runs in.
pub const AGENT_CONTAINER: &str = "cilium-agent";

/// How long an agent may take to answer: one that hangs never does.
const LIMIT: Duration = Duration::from_secs(5);

/// Runs a program beside the agent in this pod.
pub async fn ask_agent(cluster: &Cluster, agent: &ObjectRef, command: &[&str]) -> Result<Executed> {
    cluster.exec(agent, AGENT_CONTAINER, command, LIMIT).await
}
