//! Flux. Its CRDs default `status.observedGeneration` to -1, and a Kustomization whose first run fails never
//! sets it: the rules rely on the conditions (kustomize-controller 1.9, helm-controller 1.6,
//! source-controller 1.9).

use super::conditions::{Condition, condition, must_be_true};
use super::{Reason, Verdict};
use bootstrapper_core::object::Object;

/// Ready at the current generation; `Stalled` means that Flux has stopped retrying.
pub(super) fn reconciled(object: &Object) -> Verdict {
    if object.data["spec"]["suspend"] == true {
        return Verdict::not_yet(Reason::in_field("spec.suspend", "is suspended"));
    }
    stalled(object).unwrap_or_else(|| must_be_true(object, "Ready"))
}

/// Flux has stopped retrying. Ignored if it is older than the latest change, which may have fixed it.
fn stalled(object: &Object) -> Option<Verdict> {
    let stalled = condition(object, "Stalled").filter(Condition::is_true)?;
    Some(if stalled.is_outdated(object) {
        Verdict::not_yet("its controller has not observed the latest change yet")
    } else {
        Verdict::never(stalled.as_reason())
    })
}

/// Also: the last attempted revision is the last applied one.
pub(super) fn kustomization(object: &Object) -> Verdict {
    let reconciled = reconciled(object);
    if !reconciled.is_ready() {
        return reconciled;
    }
    let status = &object.data["status"];
    let (applied, attempted) = (&status["lastAppliedRevision"], &status["lastAttemptedRevision"]);
    match attempted.as_str() {
        Some(attempted) if applied.as_str() != Some(attempted) => Verdict::not_yet(Reason::in_field(
            "status.lastAttemptedRevision",
            format!("applying {attempted}"),
        )),
        _ => Verdict::Ready,
    }
}

/// Type `oci` is only a URL: it has no status.
pub(super) fn helm_repository(object: &Object) -> Verdict {
    if object.data["spec"]["type"] == "oci" { Verdict::Ready } else { reconciled(object) }
}

/// flux-operator's objects have no `status.observedGeneration`, but their conditions do.
pub(super) fn of_operator(object: &Object) -> Verdict {
    stalled(object).unwrap_or_else(|| must_be_true(object, "Ready"))
}

/// Flux has taken over a Kustomization once it has applied a revision, and a HelmRelease once it has a
/// history (`status.history`, helm-controller's record of releases that it installed or adopted).
pub fn has_taken_over(owner: &Object) -> bool {
    let status = &owner.data["status"];
    status["lastAppliedRevision"].as_str().is_some_and(|revision| !revision.is_empty())
        || status["history"].as_array().is_some_and(|history| !history.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(status: &serde_json::Value) -> Object {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}, "status": status
        }))
        .unwrap()
    }

    #[test]
    fn flux_has_taken_over_once_it_has_applied_something() {
        let taken = [
            serde_json::json!({"lastAppliedRevision": "main@sha1:abc"}),
            serde_json::json!({"history": [{"version": 2}]}),
        ];
        let not_yet = [
            serde_json::json!(null),
            serde_json::json!({"observedGeneration": -1}),
            serde_json::json!({"history": []}),
            serde_json::json!({"lastAppliedRevision": ""}),
        ];
        assert!(taken.iter().all(|status| has_taken_over(&object(status))));
        assert!(!not_yet.iter().any(|status| has_taken_over(&object(status))));
    }
}
