//! Cilium: the names of its components in a cluster, its objects, and its BGP sessions.

mod objects;
mod policies;
mod sessions;
mod status_lag;

use bootstrapper_core::object::{Object, ObjectRef, Selection};

pub(super) use objects::{bgp_config, pool};
pub use policies::{nodes_with_policy, verdict_of_policies};
pub use sessions::{AgentSession, Session, SessionState, agent_session, sessions};
pub use status_lag::{PEERS_OF_AGENT, as_reported_by_agent, sessions_down};

/// The namespace of its chart.
pub const NAMESPACE: &str = "kube-system";

/// The label of its agents: of the DaemonSet, and of the pods.
pub const AGENTS: &str = "k8s-app=cilium";

/// The label of its operator: of the Deployment, and of the pods.
pub const OPERATOR: &str = "io.cilium/app=operator";

/// The label of the ClusterMesh API server: Deployment, pods and Service.
pub const MESH_SERVER: &str = "k8s-app=clustermesh-apiserver";

/// The container of an agent.
pub const AGENT_CONTAINER: &str = "cilium-agent";

/// The container of the ClusterMesh API server that connects to other clusters on behalf of the agents.
pub const KVSTOREMESH_CONTAINER: &str = "kvstoremesh";

/// The pods of agents.
pub fn agents() -> Selection {
    within("v1", "Pod", AGENTS)
}

/// The agents' DaemonSet.
pub fn agent_sets() -> Selection {
    within("apps/v1", "DaemonSet", AGENTS)
}

/// The operator's Deployment.
pub fn operators() -> Selection {
    within("apps/v1", "Deployment", OPERATOR)
}

/// The pods of the operator.
pub fn operator_pods() -> Selection {
    within("v1", "Pod", OPERATOR)
}

/// The ClusterMesh API server's Deployment.
pub fn mesh_servers() -> Selection {
    within("apps/v1", "Deployment", MESH_SERVER)
}

/// The ClusterMesh API server's Service.
pub fn mesh_services() -> Selection {
    within("v1", "Service", MESH_SERVER)
}

/// Its ConfigMap.
pub fn settings() -> ObjectRef {
    ObjectRef::namespaced("v1", "ConfigMap", NAMESPACE, "cilium-config")
}

/// The Secret with the other clusters of the mesh.
pub fn mesh_peers() -> ObjectRef {
    ObjectRef::namespaced("v1", "Secret", NAMESPACE, "cilium-clustermesh")
}

/// Whether it has the agents' label.
pub fn is_agent(object: &Object) -> bool {
    has_label(object, AGENTS)
}

/// Whether it has the ClusterMesh API server's label.
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
