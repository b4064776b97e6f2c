//! Whether Flux's controllers run.

use std::sync::Arc;

use super::super::Verdict;
use super::super::rules::verdict;
use super::name;
use bootstrapper_core::object::{Object, ObjectRef, Selection};

/// The controllers without which Flux installs nothing.
pub(super) const ALL: [&str; 3] = ["source-controller", "kustomize-controller", "helm-controller"];

/// Flux's Deployments, in whichever namespace it runs.
pub fn flux_controllers() -> Selection {
    Selection::of("apps/v1", "Deployment").labelled("app.kubernetes.io/part-of=flux")
}

/// Whether these controllers run, by Flux's Deployments.
pub fn flux_runs(deployments: &[Arc<Object>], needed: &[&str]) -> Verdict {
    let judge = |needed: &&str| match deployments.iter().find(|deployment| name(deployment) == *needed) {
        Some(deployment) => verdict(deployment).of(&ObjectRef::of(deployment)),
        None => Verdict::not_yet("not found").about(needed),
    };
    needed.iter().map(judge).collect()
}
