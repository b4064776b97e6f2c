//! Whether other clusters can reach this cluster's ClusterMesh API server.

use std::sync::Arc;

use super::super::Verdict;
use super::super::builtin::has_address;
use super::super::rules::verdict;
use bootstrapper_core::object::{Object, ObjectRef};

pub(super) fn verdict_of(deployments: &[Arc<Object>], services: &[Arc<Object>]) -> Verdict {
    let runs = match deployments {
        [] => Verdict::not_yet("Deployment clustermesh-apiserver not found"),
        all => all.iter().map(|one| verdict(one).of(&ObjectRef::of(one))).collect(),
    };
    let is_reachable =
        |service: &&Arc<Object>| service.data["spec"]["type"] != "LoadBalancer" || has_address(service);
    let has_no_address = services.iter().find(|service| !is_reachable(service));
    runs.and(match has_no_address {
        Some(service) => verdict(service).of(&ObjectRef::of(service)),
        None => Verdict::Ready,
    })
}
