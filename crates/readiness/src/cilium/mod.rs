//! Cilium: what its parts are called in a cluster, its objects, and its BGP sessions.

mod lag;
mod objects;
mod policies;
mod sessions;

use bootstrapper_core::object::{Object, ObjectRef, Selection};

pub use lag::{PEERS_OF_AGENT, as_agent_tells, sessions_down};
pub(super) use objects::{bgp_config, pool};
pub use policies::{nodes_with_policy, verdict_of_policies};
pub use sessions::{Answer, Session, SessionState, answer_about, sessions};

/// Where its chart installs it.
pub const NAMESPACE: &str = "kube-system";

/// The label of its agents: of the DaemonSet, and of the pods.
pub const AGENTS: &str = "k8s-app=cilium";

/// The label of its operator: of the Deployment, and of the pods.
pub const OPERATOR: &str = "io.cilium/app=operator";

/// The label of what other clusters of a mesh connect to: Deployment, pods and Service.
pub const MESH_SERVER: &str = "k8s-app=clustermesh-apiserver";

/// The container that an agent runs in.
pub const AGENT_CONTAINER: &str = "cilium-agent";

/// The container, beside a mesh's server, that listens to other clusters for the agents.
pub const KVSTOREMESH_CONTAINER: &str = "kvstoremesh";

/// The pods of agents.
pub fn agents() -> Selection {
    within("v1", "Pod", AGENTS)
}

/// What makes the agents.
pub fn agent_sets() -> Selection {
    within("apps/v1", "DaemonSet", AGENTS)
}

/// The operator.
pub fn operators() -> Selection {
    within("apps/v1", "Deployment", OPERATOR)
}

/// The pods of the operator.
pub fn operator_pods() -> Selection {
    within("v1", "Pod", OPERATOR)
}

/// What other clusters of a mesh connect to.
pub fn mesh_servers() -> Selection {
    within("apps/v1", "Deployment", MESH_SERVER)
}

/// Where other clusters of a mesh connect to.
pub fn mesh_services() -> Selection {
    within("v1", "Service", MESH_SERVER)
}

/// Its settings.
pub fn settings() -> ObjectRef {
    ObjectRef::namespaced("v1", "ConfigMap", NAMESPACE, "cilium-config")
}

/// What its agents know of the other clusters of a mesh.
pub fn mesh_peers() -> ObjectRef {
    ObjectRef::namespaced("v1", "Secret", NAMESPACE, "cilium-clustermesh")
}

/// Whether it is labelled as an agent is.
pub fn is_agent(object: &Object) -> bool {
    has_label(object, AGENTS)
}

/// Whether it is labelled as a mesh's server is.
pub fn is_mesh_server(object: &Object) -> bool {
    has_label(object, MESH_SERVER)
}

fn has_label(object: &Object, label: &str) -> bool {
    let labels = object.metadata.labels.as_ref();
    label.split_once('=').is_some_and(|(name, value)| {
        labels.and_then(|labels| labels.get(name)).is_some_and(|own| own == value)
    })
}

fn within(api_version: &str, kind: &str, label: &str) -> Selection {
    Selection::of(api_version, kind).within(NAMESPACE).labelled(label)
}
