//! State that only Cilium's own programs report, by exec.

mod agent;
mod mesh;

pub use agent::{ask_agent, sessions_of};
pub use bootstrapper_readiness::cilium::AGENT_CONTAINER;
pub use mesh::{Listeners, cluster_name, listeners, peers};
