//! Conversion webhooks of CRDs.

use super::services;
use crate::finding::{Code, Finding, Insight};
use crate::scene::Inquiry;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_readiness::text;

pub(super) static NOT_CONVERTED: Code = Code {
    code: "BS-KND-006",
    title: "A CRD's conversion webhook does not answer",
    why: "The API server calls it to read and write objects in another version than the stored one, and its pods do not run or are unreachable",
    tell: "Reads and writes of the kind fail with `conversion webhook for … failed`",
    fix: "fix the webhook's pods; if its program was uninstalled, install it again, or set the CRD's `spec.conversion.strategy` to None if its versions are equal",
};

/// The Service of a conversion webhook, if it does not answer.
pub(super) fn inspect(inquiry: &Inquiry<'_>, crd: &Object) -> Insight {
    let conversion = &crd.data["spec"]["conversion"];
    let service = &conversion["webhook"]["clientConfig"]["service"];
    if conversion["strategy"] != "Webhook" || !service.is_object() {
        return Insight::nothing();
    }
    let id = ObjectRef::namespaced("v1", "Service", text(&service["namespace"]), text(&service["name"]));
    services::silent(inquiry, &id).map_or_else(Insight::nothing, |(why, _)| {
        let own = Finding::new(&NOT_CONVERTED, format!("its conversion webhook does not answer: {why}"));
        Insight { findings: vec![own], waits_for: vec![id] }
    })
}
