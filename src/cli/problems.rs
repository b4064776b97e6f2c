//! What is wrong with a cluster's declaration, separated by what a run depends on.

use super::out;
use bootstrapper_core::failure::Failure;
use bootstrapper_core::words::count;
use bootstrapper_gitops::Declared;
use bootstrapper_gitops::pipeline::Scope;

/// The problems that stop a run, and the others: Flux meets those, once it runs.
pub(super) fn split(declared: &Declared, scope: &Scope<'_>) -> (Vec<Failure>, Vec<Failure>) {
    let (own, others): (Vec<_>, Vec<_>) = declared.problems.iter().partition(|problem| scope.has(problem));
    let failures = |problems: Vec<&bootstrapper_gitops::Problem>| {
        problems.into_iter().map(|one| one.failure.clone()).collect()
    };
    (failures(own), failures(others))
}

/// Warns of problems that a run does not depend on.
pub(super) fn warn(cluster: &str, others: &[Failure]) {
    if others.is_empty() {
        return;
    }
    out::say(&format!(
        "warning: {} outside the bootstrap (Flux will report them; `bootstrapper validate {cluster}` explains):",
        count(others.len(), "problem")
    ));
    for failure in others {
        let place = failure.location.as_ref().map(|at| format!("{at}: ")).unwrap_or_default();
        out::say(&format!("  {place}{}", failure.what));
    }
}
