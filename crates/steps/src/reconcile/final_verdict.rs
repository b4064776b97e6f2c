//! Decides which failures are final although Flux is about to change the failed object. Pure.

use super::facts::Facts;
use crate::webhook_backends::Seen;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::verdict::{Reason, Verdict};

/// Downgrades "never" in a verdict: an object that its Kustomization is about to apply again, from what the
/// source has fetched or will fetch, may still become ready.
pub(crate) fn only_final(verdict: Verdict, source: &ObjectRef, seen: &Seen) -> Verdict {
    let Verdict::Never(reasons) = verdict else { return verdict };
    let get = |id: &ObjectRef| seen.get(id).and_then(Option::as_deref);
    let of_source = get(source).map(Facts);
    let may_change = |reason: &Reason| {
        let Some(object) = reason.object.as_ref().and_then(get) else { return false };
        if of_source.is_some_and(Facts::is_pending) || Facts(object).is_pending() {
            return true;
        }
        let Some(owner) = owner(object, seen).filter(|owner| owner.is_of(source)) else { return false };
        let fetched = of_source.and_then(Facts::fetched);
        fetched.is_some_and(|fetched| !owner.is_suspended() && !owner.has_applied(fetched))
    };
    let (changing, lasting): (Vec<Reason>, Vec<Reason>) = reasons.into_iter().partition(may_change);
    if lasting.is_empty() { Verdict::NotYet(changing) } else { Verdict::Never(lasting) }
}

/// The Kustomization that has applied an object.
fn owner<'a>(object: &Object, seen: &'a Seen) -> Option<Facts<'a>> {
    let labels = object.metadata.labels.as_ref()?;
    let label = |key: &str| labels.get(&format!("kustomize.toolkit.fluxcd.io/{key}"));
    let (name, namespace) = (label("name")?, label("namespace")?);
    let is_it = |id: &ObjectRef| {
        id.kind == "Kustomization" && id.name == *name && id.namespace.as_ref() == Some(namespace)
    };
    let owner = seen.iter().find(|(id, _)| is_it(id))?;
    owner.1.as_deref().map(Facts)
}
