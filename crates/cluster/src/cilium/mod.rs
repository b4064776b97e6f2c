//! What Cilium's own programs say, where no object of the API tells: they are asked by exec.

mod agent;
mod mesh;
mod sessions;

pub use agent::ask_agent;
pub use bootstrapper_readiness::cilium::AGENT_CONTAINER;
pub use mesh::{Listeners, cluster_name, listeners, peers};
pub use sessions::sessions_of;
