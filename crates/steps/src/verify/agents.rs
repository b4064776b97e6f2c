//! The cluster's agents: which of them can be queried, and whose status may be stale.

use std::collections::BTreeMap;

use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_readiness as readiness;

/// The agents of a cluster.
pub(super) struct Agents {
    pods: Vec<Object>,
    silent: BTreeMap<String, readiness::Silence>,
}

impl Agents {
    pub(super) async fn of(cluster: &Cluster) -> Result<Self> {
        let pods = cluster.list(&readiness::cilium::agents()).await?;
        let leases = cluster.list(&readiness::heartbeats()).await?;
        let silent = readiness::silent(&leases);
        Ok(Self { pods, silent })
    }

    /// For how many seconds a node has not sent a heartbeat, if that is too long.
    pub(super) fn silence(&self, node: &str) -> Option<i64> {
        self.silent.get(node).map(|silence| silence.seconds)
    }

    /// The agent of a node, if it is ready.
    pub(super) fn on(&self, node: &str) -> Option<ObjectRef> {
        let pod = self.pods.iter().find(|pod| node_of(pod) == node)?;
        readiness::verdict(pod).is_ready().then(|| ObjectRef::of(pod))
    }

    /// The agents on nodes with heartbeats, ready or not.
    pub(super) fn with_heartbeats(&self) -> impl Iterator<Item = &Object> {
        self.pods.iter().filter(|pod| self.silence(node_of(pod)).is_none())
    }
}

/// The node that a pod runs on.
pub(super) fn node_of(pod: &Object) -> &str {
    pod.data["spec"]["nodeName"].as_str().unwrap_or_default()
}
