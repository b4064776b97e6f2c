//! ClusterMesh: what its API servers and agents log about other clusters.

use super::cilium::UNREACHED;
use super::facts::{between, cut};
use crate::finding::{Code, Finding, Insight};
use crate::scene::Inquiry;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_readiness::cilium::is_mesh_server;

pub(super) const CODES: &[&Code] = &[&SAME_ID, &OTHER_AUTHORITY, &UNREACHABLE];

static SAME_ID: Code = Code {
    code: "BS-MSH-001",
    title: "Two clusters of a mesh have the same id or name",
    why: "`cluster.id` and `cluster.name` must be unique: identities contain them",
    tell: "Cilium reports that the remote cluster's id or name is its own or already used",
    fix: "give each cluster its own id (CLUSTER_ID in settings.yaml); restart all workloads after the change",
};

static OTHER_AUTHORITY: Code = Code {
    code: "BS-MSH-002",
    title: "Clusters of a mesh do not trust each other's certificates",
    why: "Their `cilium-ca` Secrets differ: each installation generated its own",
    tell: "The connection to the remote cluster fails with `certificate signed by unknown authority`",
    fix: "use the same `cilium-ca` in both clusters, seeded before Cilium is installed; then renew the mesh's certificates",
};

static UNREACHABLE: Code = Code {
    code: "BS-MSH-003",
    title: "The ClusterMesh API server of a remote cluster is unreachable",
    why: "Its address is wrong or not announced, a firewall blocks it, or it does not run",
    tell: "The connection to the remote cluster times out or is refused",
    fix: "test the address and port of the remote cluster (MESH_PEERS in settings.yaml) from a node; check that its LoadBalancer Service has that address",
};

/// Its container that connects to other clusters.
const TALKS: &str = "kvstoremesh";

/// What a running mesh API server logs about other clusters: it is ready without them.
pub(super) fn of_running(inquiry: &Inquiry<'_>, id: &ObjectRef, pod: &Object) -> Insight {
    let talks =
        super::facts::list(&pod.data["spec"]["containers"]).any(|container| container["name"] == TALKS);
    if !is_mesh_server(pod) || !talks {
        return Insight::nothing();
    }
    let log = inquiry.log(id, TALKS, false);
    // Lines before an established connection do not count.
    let newest = log.lines().rev().find_map(|line| {
        if line.contains("Found remote cluster configuration") { Some(None) } else { of_line(line).map(Some) }
    });
    newest.flatten().into()
}

/// What a pod of the mesh logs about other clusters; nothing for other pods.
pub(super) fn crash(pod: &Object, log: &str) -> Insight {
    if !is_mesh_server(pod) {
        return Insight::nothing();
    }
    log.lines().rev().find_map(of_line).into()
}

fn of_line(said: &str) -> Option<Finding> {
    let has = |signs: &[&str]| signs.iter().any(|sign| said.contains(sign));
    let error = between(said, "error=\"", "\"").unwrap_or(said);
    let quoted = format!("\"{}\"", cut(error.trim()));
    if has(&["ClusterID", "clusterID", "cluster ID", "cluster id", "cluster-id"])
        && has(&["already", "conflict", "must be different", "same", "reserved", "duplicate"])
    {
        Some(Finding::new(&SAME_ID, format!("a remote cluster has the same id: {quoted}")))
    } else if has(&["unknown authority"]) {
        Some(Finding::new(&OTHER_AUTHORITY, format!("a remote cluster has another CA: {quoted}")))
    } else if has(&["remote cluster", "etcd-client"])
        && (has(&UNREACHED) || has(&["timed out while waiting for etcd"]))
    {
        Some(Finding::new(&UNREACHABLE, format!("a remote cluster is unreachable: {quoted}")))
    } else {
        None
    }
}
