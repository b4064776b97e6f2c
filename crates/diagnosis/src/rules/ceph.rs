//! Rook's Ceph: the health of a cluster, and what of it a claim depends on.

use super::facts::{line, namespace};
use crate::finding::{Code, Finding};
use crate::scene::Inquiry;
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_readiness::{Condition, condition, text};

pub(super) const CODES: &[&Code] = &[&UNHEALTHY, &NOT_READY];

static UNHEALTHY: Code = Code {
    code: "BS-CEP-001",
    title: "A Ceph cluster is unhealthy, or not created",
    why: "Its monitors have no quorum, it has too few OSDs, it is full, or Rook cannot create it",
    tell: "The CephCluster's `status.phase` is not Ready, or `status.ceph.health` is HEALTH_ERR; `status.ceph.details` has the checks",
    fix: "fix what the checks name; `ceph status` and `ceph health detail` in Rook's toolbox say more",
};

static NOT_READY: Code = Code {
    code: "BS-CEP-002",
    title: "A pool, filesystem or object store of Ceph is not ready",
    why: "Rook cannot create it, mostly because the cluster is unhealthy or the settings do not fit it",
    tell: "Its `status.phase` is not Ready; its newest warning event has Rook's message",
    fix: "fix what the message names; check the CephCluster first",
};

/// How many seconds Rook may take to create something.
const PATIENCE: i64 = 600;
/// Checks by which Ceph warns only, although clients hang.
const BLOCKING: [&str; 3] = ["PG_AVAILABILITY", "TOO_FEW_OSDS", "POOL_FULL"];

/// Whether an object is a CephCluster that does not serve its clients, although Rook may call it ready.
pub fn is_ill(object: &Object) -> bool {
    let id = ObjectRef::of(object);
    id.group() == "ceph.rook.io" && id.kind == "CephCluster" && !is_serving(object)
}

/// Whether a CephCluster serves its clients.
pub(super) fn is_serving(cluster: &Object) -> bool {
    let phase = text(&cluster.data["status"]["phase"]);
    matches!(phase, "Ready" | "Connected" | "Progressing")
        && ills(cluster).is_empty()
        && !is_in_error(cluster)
}

/// Whether Ceph itself says that it does not work.
fn is_in_error(cluster: &Object) -> bool {
    cluster.data["status"]["ceph"]["health"] == "HEALTH_ERR"
}

/// The failed checks that stop clients: `TOO_FEW_OSDS: OSD count 0 < osd_pool_default_size 3`. Rook calls it
/// urgent that it cannot ask Ceph.
fn ills(cluster: &Object) -> Vec<String> {
    let checks = cluster.data["status"]["ceph"]["details"].as_object().into_iter().flatten();
    let stops =
        |name: &str, severity: &str| matches!(severity, "HEALTH_ERR" | "Urgent") || BLOCKING.contains(&name);
    checks
        .filter(|(name, check)| stops(name, text(&check["severity"])))
        .map(|(name, check)| format!("{name}: {}", text(&check["message"])))
        .collect()
}

/// What Rook or Ceph reports.
pub(super) fn own(id: &ObjectRef, object: &Object, warning: Option<&str>, age: i64) -> Finding {
    let status = &object.data["status"];
    let phase = text(&status["phase"]);
    let health = text(&status["ceph"]["health"]);
    // Rook reports what it cannot do in the condition that says that it works on it.
    let refused =
        condition(object, "Progressing").filter(Condition::is_false).map(|refused| refused.message());
    let said = refused.filter(|said| !said.is_empty()).or(warning).unwrap_or(text(&status["message"]));
    let is_cluster = id.kind == "CephCluster";
    let ills = if is_cluster { ills(object) } else { Vec::new() };
    let (code, what) = match phase {
        _ if !ills.is_empty() => (&UNHEALTHY, format!("is unhealthy: {}", ills.join("; "))),
        _ if is_cluster && is_in_error(object) => (&UNHEALTHY, format!("is unhealthy: {health}")),
        "" => {
            (if is_cluster { &UNHEALTHY } else { &NOT_READY }, format!("is not created{}", after_colon(said)))
        }
        _ => (if is_cluster { &UNHEALTHY } else { &NOT_READY }, format!("is {phase}{}", after_colon(said))),
    };
    let is_wrong =
        is_in_error(object) || phase.ends_with("Failure") || phase == "Failed" || refused.is_some();
    let finding = Finding::new(code, line(&what)).evidence(line(said));
    let finding =
        if health.is_empty() { finding } else { finding.evidence(format!("health {health}, phase {phase}")) };
    if is_wrong || age >= PATIENCE { finding } else { finding.transient() }
}

fn after_colon(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {}", line(said)) }
}

/// The cluster that a pool, filesystem or store belongs to: the one of its namespace.
pub(super) fn cluster_of<'a>(inquiry: &Inquiry<'a>, namespace: &str) -> Vec<&'a Object> {
    let all = Selection::of("ceph.rook.io/v1", "CephCluster").within(namespace);
    inquiry.all(&all).into_iter().filter(|cluster| !is_serving(cluster)).collect()
}

/// What a StorageClass of Rook needs: its cluster, and its pool, filesystem or object store.
pub(super) fn behind_class(inquiry: &Inquiry<'_>, class: &Object) -> Vec<ObjectRef> {
    let provisioner = text(&class.data["provisioner"]);
    if !provisioner.ends_with(".csi.ceph.com") && !provisioner.ends_with(".ceph.rook.io/bucket") {
        return Vec::new();
    }
    let parameters = &class.data["parameters"];
    let home = ["clusterID", "objectStoreNamespace"].into_iter().find_map(|key| parameters[key].as_str());
    let Some(home) = home else { return Vec::new() };
    let named = |kind: &str, key: &str| {
        let name = parameters[key].as_str()?;
        let id = ObjectRef::namespaced("ceph.rook.io/v1", kind, home, name);
        let is_unready =
            inquiry.found(&id).is_some_and(|one| !bootstrapper_readiness::verdict(one).is_ready());
        is_unready.then_some(id)
    };
    let parts = [
        // A filesystem's pools are no objects of their own.
        if parameters["fsName"].is_null() { named("CephBlockPool", "pool") } else { None },
        named("CephFilesystem", "fsName"),
        named("CephObjectStore", "objectStoreName"),
    ];
    let clusters = cluster_of(inquiry, home).into_iter().map(ObjectRef::of);
    clusters.chain(parts.into_iter().flatten()).collect()
}

/// The clusters that a Rook object waits for.
pub(super) fn behind(inquiry: &Inquiry<'_>, id: &ObjectRef) -> Vec<ObjectRef> {
    if id.kind == "CephCluster" {
        return Vec::new();
    }
    cluster_of(inquiry, namespace(id)).into_iter().map(ObjectRef::of).collect()
}
