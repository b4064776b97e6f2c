//! What API servers check of built-in kinds beyond their schemas.
//!
//! From `pkg/apis/*/validation` of Kubernetes 1.33 to 1.36. Only what an API server refuses in any case.

mod labels;
mod pods;
mod services;
mod small;

use crate::fleet::Placed;
use crate::schema::is_unknown;
use crate::{Finding, Rule, Severity};

pub(crate) const RULES: &[Rule] = &[Rule {
    name: "refused-by-api-server",
    severity: Severity::Error,
    summary: "fields of an object contradict each other, or a value has a form that no schema describes",
    why: "the API server rejects the object, and Flux the whole Kustomization",
    fix: "change what the finding names",
    check: |rule, fleet| fleet.each_object(|placed| refused(rule, placed)),
}];

/// What is wrong, and its field.
struct Fault {
    path: String,
    what: String,
}

impl Fault {
    fn new(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self { path: path.into(), what: what.into() }
    }
}

fn refused(rule: &Rule, placed: Placed<'_>) -> Vec<Finding> {
    let is_fetched_crd =
        placed.written.is_none() && placed.is("apiextensions.k8s.io", "CustomResourceDefinition");
    if is_fetched_crd {
        return Vec::new();
    }
    let checks = [labels::faults, pods::faults, services::faults, small::faults];
    let faults = checks.iter().flat_map(|check| check(placed));
    // A message with a placeholder is about a value that only the cluster knows.
    let known = faults.filter(|fault| !is_unknown(&fault.what) && !fault.what.contains("ENC["));
    known.map(|fault| placed.finding(rule, &fault.path, format!("{}: {}", placed.id(), fault.what))).collect()
}
