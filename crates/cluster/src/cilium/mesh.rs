//! Whether a cluster is connected to the declared peers of its mesh: queries its agents, and the kvstoremesh
//! that they read from.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::Value;

use crate::Cluster;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_readiness::cilium::{self, AGENT_CONTAINER, KVSTOREMESH_CONTAINER};
use bootstrapper_readiness::verdict;

/// The name of a cluster in its mesh; none if Cilium's configuration has none.
pub async fn cluster_name(cluster: &Cluster) -> Result<Option<String>> {
    let settings = cluster.get(&cilium::settings()).await?;
    Ok(settings.and_then(|settings| settings.data["data"]["cluster-name"].as_str().map(str::to_owned)))
}

/// The configured remote clusters: the entries of the agents' Secret that are configurations, except `own`.
pub async fn peers(cluster: &Cluster, own: &str) -> Result<BTreeSet<String>> {
    let secret = cluster.get(&cilium::mesh_peers()).await?;
    let entries = secret.as_ref().and_then(|secret| secret.data["data"].as_object());
    let is_peer = |(name, text): &(&String, &Value)| {
        let text = STANDARD.decode(text.as_str().unwrap_or_default()).unwrap_or_default();
        *name != own && String::from_utf8_lossy(&text).contains("endpoints:")
    };
    Ok(entries.into_iter().flatten().filter(is_peer).map(|(name, _)| name.clone()).collect())
}

/// A program that connects to other clusters.
struct Listener {
    /// Its name.
    name: &'static str,
    /// The pods that it runs in, by label.
    pods: &'static str,
    container: &'static str,
    /// Its status command.
    status: &'static [&'static str],
    /// The JSON path of the clusters in its output.
    clusters: &'static str,
    /// Its troubleshooting command.
    troubleshoot: &'static [&'static str],
}

const AGENT: Listener = Listener {
    name: "agents",
    pods: cilium::AGENTS,
    container: AGENT_CONTAINER,
    status: &["cilium-dbg", "status", "--output=json"],
    clusters: "/cluster-mesh/clusters",
    troubleshoot: &["cilium-dbg", "troubleshoot", "clustermesh"],
};

const KVSTOREMESH: Listener = Listener {
    name: "kvstoremesh",
    pods: cilium::MESH_SERVER,
    container: KVSTOREMESH_CONTAINER,
    status: &["clustermesh-apiserver", "kvstoremesh-dbg", "status", "--output=json"],
    clusters: "",
    troubleshoot: &["clustermesh-apiserver", "kvstoremesh-dbg", "troubleshoot"],
};

/// The timeout of one command: troubleshooting a peer connects to it.
const LIMIT: Duration = Duration::from_secs(15);

/// The maximum number of concurrent commands.
const AT_ONCE: usize = 16;

/// The pods of a program that connects to other clusters.
pub struct Listeners {
    listener: &'static Listener,
    pods: Vec<ObjectRef>,
}

/// First kvstoremesh, if it is running; then the agents, which read from it, or connect themselves.
pub async fn listeners(cluster: &Cluster) -> Result<Vec<Listeners>> {
    let (kvstoremesh, agents) = futures::try_join!(pods_of(cluster, &KVSTOREMESH), pods_of(cluster, &AGENT))?;
    let kvstoremesh = Some(Listeners { listener: &KVSTOREMESH, pods: kvstoremesh });
    let kvstoremesh = kvstoremesh.filter(|listeners| !listeners.pods.is_empty());
    Ok(kvstoremesh.into_iter().chain([Listeners { listener: &AGENT, pods: agents }]).collect())
}

impl Listeners {
    /// Their names.
    pub fn name(&self) -> &'static str {
        self.listener.name
    }

    /// Their number.
    pub fn count(&self) -> usize {
        self.pods.len()
    }

    /// The ones that are not ready with a peer.
    pub async fn not_connected_to(&self, cluster: &Cluster, peer: &str) -> Result<Vec<ObjectRef>> {
        let Listener { container, status, clusters, .. } = *self.listener;
        let ask = |pod: ObjectRef| async move {
            let output = cluster.exec(&pod, container, status, LIMIT).await?;
            let ready_with = clusters_in(&output.stdout, clusters).ok_or_else(|| {
                Failure::step(format!("{pod} reports no ClusterMesh status")).because(output.stderr)
            })?;
            Ok::<_, Failure>((!ready_with.contains(peer)).then_some(pod))
        };
        let deaf = stream::iter(self.pods.clone()).map(ask).buffered(AT_ONCE);
        deaf.try_filter_map(async |deaf| Ok(deaf)).try_collect().await
    }

    /// The problem with a peer, according to one of them; none if it finds none.
    pub async fn fault(&self, cluster: &Cluster, pod: &ObjectRef, peer: &str) -> Result<Option<String>> {
        let command = [self.listener.troubleshoot, &[peer]].concat();
        let report = cluster.exec(pod, self.listener.container, &command, LIMIT).await?;
        Ok(first_fault(&report.stdout))
    }
}

/// The running pods that have the container.
async fn pods_of(cluster: &Cluster, listener: &Listener) -> Result<Vec<ObjectRef>> {
    let pods =
        cluster.list(&Selection::of("v1", "Pod").within(cilium::NAMESPACE).labelled(listener.pods)).await?;
    let has_it = |pod: &&Object| {
        let containers = pod.data["spec"]["containers"].as_array();
        containers.into_iter().flatten().any(|container| container["name"] == listener.container)
    };
    let pods = pods.iter().filter(|pod| verdict(pod).is_ready()).filter(has_it);
    Ok(pods.map(ObjectRef::of).collect())
}

/// The clusters that a program reports as ready.
fn clusters_in(status: &str, at: &str) -> Option<BTreeSet<String>> {
    let status: Value = serde_json::from_str(status).ok()?;
    let ready = status.pointer(at)?.as_array()?.iter().filter(|cluster| cluster["ready"] == true);
    Some(ready.filter_map(|cluster| cluster["name"].as_str().map(str::to_owned)).collect())
}

/// A line that Cilium marks as an error.
fn first_fault(report: &str) -> Option<String> {
    let fault = report.lines().find_map(|line| line.trim().strip_prefix('❌'))?.trim();
    let remedy = if fault.contains("unknown authority") {
        ": the clusters do not share a CA (their Secrets kube-system/cilium-ca differ)"
    } else {
        ""
    };
    Some(format!("{fault}{remedy}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_tells_with_whom_it_is_ready() {
        let agent = r#"{"cluster-mesh": {"clusters": [{"name": "a", "ready": true}, {"name": "b", "connected": true}]}}"#;
        assert_eq!(clusters_in(agent, AGENT.clusters).unwrap(), BTreeSet::from(["a".to_owned()]));
        let kvstoremesh = r#"[{"name": "b", "status": "Waiting for initial connection to be established"}]"#;
        assert!(clusters_in(kvstoremesh, KVSTOREMESH.clusters).unwrap().is_empty());
        assert_eq!(clusters_in("not JSON", ""), None);
    }

    #[test]
    fn the_first_fault_of_a_report_is_shown() {
        let report = "Cluster \"apps\":\n  ✅ TCP connection established\n  ❌ Cannot establish TLS connection: x509: certificate signed by unknown authority\n  ❌ Failed";
        let told = first_fault(report).unwrap();
        assert!(told.starts_with("Cannot establish TLS") && told.contains("do not share a CA"), "{told}");
        assert_eq!(first_fault("all is well"), None);
    }
}
