//! Whether Flux's controllers run.

use std::sync::Arc;

use super::super::Verdict;
use super::super::rules::verdict;
use super::name;
use bootstrapper_core::object::{Object, ObjectRef, Selection};

/// The controllers that Flux needs to apply anything, and the one that installs HelmReleases.
const CONTROLLERS: [&str; 2] = ["source-controller", "kustomize-controller"];
const OF_RELEASES: &str = "helm-controller";

/// Flux's Deployments, in any namespace.
pub fn flux_controllers() -> Selection {
    Selection::of("apps/v1", "Deployment").labelled("app.kubernetes.io/part-of=flux")
}

/// Whether Flux's Deployments are ready; helm-controller only if there are HelmReleases.
pub fn flux_runs(deployments: &[Arc<Object>], has_releases: bool) -> Verdict {
    let judge = |needed: &&str| match deployments.iter().find(|deployment| name(deployment) == *needed) {
        Some(deployment) => verdict(deployment).of(&ObjectRef::of(deployment)),
        None => Verdict::not_yet("not found").about(needed),
    };
    let of_releases = has_releases.then_some(&OF_RELEASES);
    CONTROLLERS.iter().chain(of_releases).map(judge).collect()
}
