//! What Cilium's own programs say, where no object of the API tells: they are asked by exec.

mod mesh;
mod sessions;

pub use mesh::{Listeners, cluster_name, listeners, peers};
pub use sessions::{AGENT_CONTAINER, sessions_of};
