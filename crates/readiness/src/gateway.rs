//! Gateway API.

use super::Verdict;
use super::conditions::{find, must_be_true, required, text};
use bootstrapper_core::object::Object;

/// Accepted, at the current generation.
pub(super) fn class(object: &Object) -> Verdict {
    must_be_true(object, "Accepted")
}

/// Programmed, at the current generation.
pub(super) fn gateway(object: &Object) -> Verdict {
    must_be_true(object, "Programmed")
}

/// Accepted by every gateway that it references, with all references resolved.
pub(super) fn route(object: &Object) -> Verdict {
    let wanted = object.data["spec"]["parentRefs"].as_array();
    let answers = object.data["status"]["parents"].as_array();
    wanted
        .into_iter()
        .flatten()
        .map(|parent| {
            let is_meant = |answer: &&serde_json::Value| {
                ["name", "namespace", "sectionName"].iter().all(|field| {
                    let (wanted, actual) = (&parent[*field], &answer["parentRef"][*field]);
                    wanted.is_null() || wanted == actual
                })
            };
            let verdict = match answers.into_iter().flatten().find(is_meant) {
                None => Verdict::not_yet("not picked up by its controller yet"),
                Some(answer) => ["Accepted", "ResolvedRefs"]
                    .into_iter()
                    .map(|kind| required(object, find(answer, kind), kind))
                    .collect(),
            };
            verdict.about(&format!("Gateway {}", text(&parent["name"])))
        })
        .collect()
}
