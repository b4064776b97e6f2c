//! Flux. Its CRDs default `status.observedGeneration` to -1, and a Kustomization whose first run
//! fails never sets it: the conditions are read for what they say (`facts`: kustomize-controller
//! 1.9, helm-controller 1.6, source-controller 1.9).

use super::Verdict;
use super::conditions::{Condition, condition, must_be_true};
use crate::object::Object;

/// Ready for the newest generation; `Stalled` means that nothing is tried any more.
pub(super) fn reconciled(object: &Object) -> Verdict {
    if object.data["spec"]["suspend"] == true {
        return Verdict::not_yet("is suspended");
    }
    if let Some(stalled) = condition(object, "Stalled").filter(Condition::is_true) {
        return Verdict::never(stalled.told());
    }
    must_be_true(object, "Ready")
}

/// Also: what it attempted last is what it applied last.
pub(super) fn kustomization(object: &Object) -> Verdict {
    let reconciled = reconciled(object);
    if !reconciled.is_ready() {
        return reconciled;
    }
    let status = &object.data["status"];
    let (applied, attempted) = (&status["lastAppliedRevision"], &status["lastAttemptedRevision"]);
    match attempted.as_str() {
        Some(attempted) if applied.as_str() != Some(attempted) => {
            Verdict::not_yet(format!("is applying {attempted}"))
        }
        _ => Verdict::Ready,
    }
}

/// One of type `oci` is only an address: it has no status.
pub(super) fn helm_repository(object: &Object) -> Verdict {
    if object.data["spec"]["type"] == "oci" { Verdict::Ready } else { reconciled(object) }
}

/// flux-operator's objects have no `status.observedGeneration`; their conditions have.
pub(super) fn of_operator(object: &Object) -> Verdict {
    match condition(object, "Stalled").filter(Condition::is_true) {
        Some(stalled) => Verdict::never(stalled.told()),
        None => must_be_true(object, "Ready"),
    }
}
