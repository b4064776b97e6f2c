//! What Cilium's own programs say, where no object of the API tells: they are asked by exec.

mod agent;
mod mesh;
mod sessions;

pub use agent::{AGENT_CONTAINER, ask_agent};
pub use mesh::{Listeners, cluster_name, listeners, peers};
pub use sessions::sessions_of;
