//! Whether a cluster hears of those that it declares as peers of its mesh: its agents, and the
//! kvstoremesh that they hear it from. Each tells of itself; no object of the API does.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use backon::{ConstantBuilder, Retryable as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::{join_all, try_join_all};
use serde_json::Value;

use super::{Member, Outcome};
use crate::cluster::Cluster;
use crate::failure::{Failure, Result};
use crate::object::{Object, ObjectRef, Selection};
use crate::readiness;

const NAMESPACE: &str = "kube-system";

/// What a cluster is called in its mesh.
pub(super) async fn name(member: &Member) -> Result<String> {
    let settings = ObjectRef::namespaced("v1", "ConfigMap", NAMESPACE, "cilium-config");
    let settings = member.cluster.get(&settings).await?;
    let name = settings.as_ref().and_then(|settings| settings.data["data"]["cluster-name"].as_str());
    Ok(name.unwrap_or(&member.name).to_owned())
}

/// The clusters that the agents are told of: the entries of their Secret that are configurations.
/// `own` may be among them, and is no peer.
pub(super) async fn peers(cluster: &Cluster, own: &str) -> Result<BTreeSet<String>> {
    let secret = ObjectRef::namespaced("v1", "Secret", NAMESPACE, "cilium-clustermesh");
    let secret = cluster.get(&secret).await?;
    let entries = secret.as_ref().and_then(|secret| secret.data["data"].as_object());
    let is_peer = |(name, text): &(&String, &Value)| {
        let text = STANDARD.decode(text.as_str().unwrap_or_default()).unwrap_or_default();
        *name != own && String::from_utf8_lossy(&text).contains("endpoints:")
    };
    Ok(entries.into_iter().flatten().filter(is_peer).map(|(name, _)| name.clone()).collect())
}

/// A program that keeps in touch with other clusters.
struct Listener {
    /// What it is called.
    name: &'static str,
    /// The pods that it runs in, by label.
    pods: &'static str,
    container: &'static str,
    /// How it tells of itself.
    status: &'static [&'static str],
    /// Where in that it tells of clusters.
    clusters: &'static str,
    /// How it looks for what is wrong with one of them.
    troubleshoot: &'static [&'static str],
}

const AGENT: Listener = Listener {
    name: "agents",
    pods: "k8s-app=cilium",
    container: "cilium-agent",
    status: &["cilium-dbg", "status", "--output=json"],
    clusters: "/cluster-mesh/clusters",
    troubleshoot: &["cilium-dbg", "troubleshoot", "clustermesh"],
};

const KVSTOREMESH: Listener = Listener {
    name: "kvstoremesh",
    pods: "k8s-app=clustermesh-apiserver",
    container: "kvstoremesh",
    status: &["clustermesh-apiserver", "kvstoremesh-dbg", "status", "--output=json"],
    clusters: "",
    troubleshoot: &["clustermesh-apiserver", "kvstoremesh-dbg", "troubleshoot"],
};

/// How long a program may take that finds no fault: one whose peer was away calls it again within a
/// minute, and within one all is to be told.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: ConstantBuilder = ConstantBuilder::new().with_delay(Duration::from_secs(1)).without_max_times();

/// How long one answer may take: who looks for what is wrong with a peer tries to connect to it.
const LIMIT: Duration = Duration::from_secs(15);

/// Asks each program that should hear of `peers`, one answer for each kind of program and peer.
pub(super) async fn sessions(member: &Member, peers: &BTreeSet<String>) -> Result<Vec<Outcome>> {
    let kvstoremesh = pods_of(&member.cluster, &KVSTOREMESH).await?;
    let agents = pods_of(&member.cluster, &AGENT).await?;
    let outcomes = peers.iter().map(|peer| of_peer(member, peer, &kvstoremesh, &agents));
    Ok(join_all(outcomes).await.concat())
}

/// Without kvstoremesh the agents hear of the others themselves; with it, only of whom it hears.
async fn of_peer(
    member: &Member,
    peer: &str,
    kvstoremesh: &[ObjectRef],
    agents: &[ObjectRef],
) -> Vec<Outcome> {
    let until = Instant::now() + PATIENCE;
    let mut outcomes = Vec::new();
    let mut is_heard_of = true;
    for (listener, pods) in [(&KVSTOREMESH, kvstoremesh), (&AGENT, agents)] {
        if pods.is_empty() && listener.name == KVSTOREMESH.name {
            continue;
        }
        let ask = || ask(&member.cluster, listener, pods, peer);
        let may_end = |deafness: &Deafness| is_heard_of && deafness.is_blameless && Instant::now() < until;
        let answer = ask.retry(PAUSE).when(may_end).await;
        let problem = answer.err().map(|deafness| deafness.told(is_heard_of));
        is_heard_of = problem.is_none();
        outcomes.push(Outcome {
            cluster: member.name.clone(),
            check: "mesh",
            from: format!("{} {}", pods.len(), listener.name),
            to: peer.to_owned(),
            problem,
            remark: None,
            milliseconds: None,
        });
    }
    outcomes
}

/// Why a program does not hear of a peer.
struct Deafness {
    why: String,
    /// Whether it finds nothing wrong, and may only need time.
    is_blameless: bool,
}

impl Deafness {
    fn of(why: impl Into<String>) -> Self {
        Self { why: why.into(), is_blameless: false }
    }

    fn told(self, is_heard_of: bool) -> String {
        match (self.is_blameless, is_heard_of) {
            (false, _) => self.why,
            (true, true) => format!("{}, and they find nothing wrong", self.why),
            (true, false) => format!("{}, as kvstoremesh is not", self.why),
        }
    }
}

/// Asks all pods of a program for one peer.
async fn ask(cluster: &Cluster, listener: &Listener, pods: &[ObjectRef], peer: &str) -> Result<(), Deafness> {
    if pods.is_empty() {
        return Err(Deafness::of("none runs"));
    }
    let told = try_join_all(pods.iter().map(async |pod| {
        let status = cluster.exec(pod, listener.container, listener.status, LIMIT).await?;
        clusters_in(&status.stdout, listener.clusters)
            .ok_or_else(|| Failure::step(format!("{pod} does not tell of its mesh")).because(status.stderr))
    }));
    let told = told.await.map_err(|failure| Deafness::of(failure.to_string()))?;
    let deaf: Vec<&ObjectRef> =
        pods.iter().zip(&told).filter(|(_, told)| !told.contains(peer)).map(|(pod, _)| pod).collect();
    let Some(first) = deaf.first() else { return Ok(()) };
    let command = [listener.troubleshoot, &[peer]].concat();
    let found = cluster.exec(first, listener.container, &command, LIMIT).await;
    let fault = found.map_err(|failure| Deafness::of(failure.to_string()))?;
    let fault = first_fault(&fault.stdout);
    let is_blameless = fault.is_none();
    let why = fault.map_or(" are not ready with it".to_owned(), |fault| format!(": {fault}"));
    Err(Deafness { why: format!("{} of {}{why}", deaf.len(), pods.len()), is_blameless })
}

/// The pods that run and have the container.
async fn pods_of(cluster: &Cluster, listener: &Listener) -> Result<Vec<ObjectRef>> {
    let pods = cluster.list(&Selection::of("v1", "Pod").within(NAMESPACE).labelled(listener.pods)).await?;
    let has_it = |pod: &&Object| {
        let containers = pod.data["spec"]["containers"].as_array();
        containers.into_iter().flatten().any(|container| container["name"] == listener.container)
    };
    let pods = pods.iter().filter(|pod| readiness::verdict(pod).is_ready()).filter(has_it);
    Ok(pods.map(ObjectRef::of).collect())
}

/// The clusters that a program says it is ready with.
fn clusters_in(status: &str, at: &str) -> Option<BTreeSet<String>> {
    let status: Value = serde_json::from_str(status).ok()?;
    let ready = status.pointer(at)?.as_array()?.iter().filter(|cluster| cluster["ready"] == true);
    Some(ready.filter_map(|cluster| cluster["name"].as_str().map(str::to_owned)).collect())
}

/// A line that Cilium marks as bad.
fn first_fault(report: &str) -> Option<String> {
    let fault = report.lines().find_map(|line| line.trim().strip_prefix('❌'))?.trim();
    let remedy = if fault.contains("unknown authority") {
        ": the clusters do not share an authority (their Secrets kube-system/cilium-ca differ)"
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
    fn the_first_fault_of_a_report_is_told() {
        let report = "Cluster \"apps\":\n  ✅ TCP connection established\n  ❌ Cannot establish TLS connection: x509: certificate signed by unknown authority\n  ❌ Failed";
        let told = first_fault(report).unwrap();
        assert!(
            told.starts_with("Cannot establish TLS") && told.contains("do not share an authority"),
            "{told}"
        );
        assert_eq!(first_fault("all is well"), None);
    }
}
