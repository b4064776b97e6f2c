//! Whether this is the named cluster.

use super::{Findings, Subject, problem};
use bootstrapper_cluster::Identity;
use bootstrapper_core::failure::{Failure, FailureKind, Result};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_gitops::addresses;
use bootstrapper_readiness::cilium;

pub(super) async fn check(subject: &Subject) -> Result<Findings> {
    let wanted = Identity::declared(&subject.declared.cluster, &subject.declared.settings);
    let other = match subject.cluster.identity_record().await? {
        Some(identity_record) => identity_record.require(&wanted).err(),
        None => None,
    };
    Ok([other, service_range(subject).await?, mesh_id(subject).await?].into_iter().collect())
}

/// The address of the Service `kubernetes` is the first in the range that the server was started with: on a
/// cluster without history, the best evidence that contexts were mixed up.
async fn service_range(subject: &Subject) -> Result<Option<Failure>> {
    let Some(declared) = subject.declared.settings.get("SERVICE_CIDR") else { return Ok(None) };
    let Some(ranges) = addresses::read(declared) else { return Ok(None) };
    let service =
        subject.cluster.get(&ObjectRef::namespaced("v1", "Service", "default", "kubernetes")).await?;
    let Some(service) = service else { return Ok(None) };
    let Some(address) = service.data["spec"]["clusterIP"].as_str() else { return Ok(None) };
    let is_outside = address
        .parse::<std::net::IpAddr>()
        .is_ok_and(|address| !ranges.iter().any(|range| range.contains(&address)));
    let what = format!(
        "the cluster's Services live around {address}, `{}` declares {declared}",
        subject.declared.cluster
    );
    Ok(is_outside.then(|| another(subject, what, "SERVICE_CIDR")))
}

/// A running Cilium keeps its id: the identities of pods contain it.
async fn mesh_id(subject: &Subject) -> Result<Option<Failure>> {
    let Some(declared) = subject.declared.settings.get("CLUSTER_ID") else { return Ok(None) };
    let config = subject.cluster.get(&cilium::settings()).await?;
    let Some(config) = config else { return Ok(None) };
    // By default, Cilium is in no mesh.
    let id = config.data["data"]["cluster-id"].as_str().filter(|id| !matches!(*id, "" | "0"));
    let other = id.filter(|id| id != declared);
    Ok(other.map(|id| {
        let what = format!(
            "the cluster's Cilium has the mesh id {id}, `{}` declares {declared}",
            subject.declared.cluster
        );
        another(subject, what, "CLUSTER_ID")
    }))
}

fn another(subject: &Subject, what: String, setting: &str) -> Failure {
    let failure = Failure { kind: FailureKind::WrongCluster, ..problem(what) }
        .hint("this may be another cluster: check --context, or map contexts in bootstrapper.yaml");
    match subject.declared.setting_location(setting) {
        Some(location) => failure.at(location),
        None => failure,
    }
}
