//! Is this really the named cluster?

use super::{Findings, Subject, problem};
use crate::failure::{FailureKind, Result};
use crate::object::ObjectRef;

pub(super) async fn check(subject: &Subject) -> Result<Findings> {
    let named = subject.cluster.check_identity(&subject.declared.cluster).await;
    let range = service_range(subject).await?;
    Ok([named.err(), range].into_iter().collect())
}

/// The address of the Service `kubernetes` is the first of the range that the server was started
/// with: the surest sign, on a cluster without a history, that contexts were mixed up.
async fn service_range(subject: &Subject) -> Result<Option<crate::failure::Failure>> {
    let Some(declared) = subject.declared.settings.get("SERVICE_CIDR") else { return Ok(None) };
    let Ok(range) = declared.parse::<ipnet::IpNet>() else { return Ok(None) };
    let service =
        subject.cluster.get(&ObjectRef::namespaced("v1", "Service", "default", "kubernetes")).await?;
    let Some(service) = service else { return Ok(None) };
    let Some(address) = service.data["spec"]["clusterIP"].as_str() else { return Ok(None) };
    let is_outside = address.parse::<std::net::IpAddr>().is_ok_and(|address| !range.contains(&address));
    Ok(is_outside.then(|| {
        let mut failure = problem(format!(
            "the cluster's Services live around {address}, `{}` declares {declared}",
            subject.declared.cluster
        ));
        failure.kind = FailureKind::WrongCluster;
        let failure = failure
            .hint("this may be another cluster: check --context, or map contexts in bootstrapper.yaml");
        match subject.declared.setting_location("SERVICE_CIDR") {
            Some(location) => failure.at(location),
            None => failure,
        }
    }))
}
