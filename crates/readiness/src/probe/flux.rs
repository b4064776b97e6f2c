//! Whether Flux's controllers run.

use std::sync::Arc;

use super::super::Verdict;
use super::super::rules::verdict;
use super::name;
use bootstrapper_core::object::{Object, ObjectRef};

pub(super) fn verdict_of(deployments: &[Arc<Object>]) -> Verdict {
    ["source-controller", "kustomize-controller", "helm-controller"]
        .into_iter()
        .map(|needed| match deployments.iter().find(|deployment| name(deployment) == needed) {
            Some(deployment) => verdict(deployment).of(&ObjectRef::of(deployment)),
            None => Verdict::not_yet("not found").about(&needed),
        })
        .collect()
}
