//! Gateway API.

use super::Verdict;
use super::conditions::{condition, must_be_true};
use crate::object::Object;

/// Accepted, at the newest generation.
pub(super) fn class(object: &Object) -> Verdict {
    accepted_as(object, "Accepted")
}

/// Programmed, at the newest generation.
pub(super) fn gateway(object: &Object) -> Verdict {
    accepted_as(object, "Programmed")
}

fn accepted_as(object: &Object, kind: &str) -> Verdict {
    let seen = condition(object, kind).and_then(|condition| condition.observed_generation());
    let is_current = match (object.metadata.generation, seen) {
        (Some(now), Some(seen)) if seen < now => {
            Verdict::not_yet("its controller has not seen the newest change yet")
        }
        _ => Verdict::Ready,
    };
    must_be_true(object, kind).and(is_current)
}
