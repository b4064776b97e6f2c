//! Webhook configurations without ready endpoints, and the objects that they hold back.

use std::collections::BTreeMap;

use serde_json::Value;

use super::facts::{list, namespace};
use super::refusals::WEBHOOK_SILENT;
use super::services;
use crate::finding::{Finding, Insight};
use crate::scene::{Inquiry, Known};
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_core::selector;
use bootstrapper_readiness::text;

/// The kinds of configurations.
const KINDS: [&str; 2] = ["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"];

pub(super) fn inspect(inquiry: &Inquiry<'_>, configuration: &Object) -> Insight {
    list(&configuration.data["webhooks"])
        .filter(|webhook| webhook["failurePolicy"] != "Ignore")
        .map(|webhook| of_one(inquiry, text(&webhook["name"]), &webhook["clientConfig"]))
        .fold(Insight::nothing(), Insight::join)
}

fn of_one(inquiry: &Inquiry<'_>, name: &str, client: &Value) -> Insight {
    let service = &client["service"];
    if !service.is_object() {
        return Insight::nothing();
    }
    let id = ObjectRef::namespaced("v1", "Service", text(&service["namespace"]), text(&service["name"]));
    let own = |why: String| Finding::new(&WEBHOOK_SILENT, format!("webhook {name} does not answer: {why}"));
    if let Some((why, behind)) = services::silent(inquiry, &id) {
        return Insight { findings: vec![own(why)], waits_for: behind };
    }
    if matches!(inquiry.object(&id), Known::Found(_)) && text(&client["caBundle"]).is_empty() {
        return own("it has no caBundle, so its certificate cannot be verified".to_owned())
            .remedy("inject it with cert-manager's cainjector or the webhook's own program")
            .into();
    }
    Insight::nothing()
}

/// The configurations with a webhook that must be called before an object may be updated, and that does
/// not answer.
pub(super) fn holding_back(inquiry: &Inquiry<'_>, id: &ObjectRef, object: &Object) -> Vec<ObjectRef> {
    let of = |kind| inquiry.all(&Selection::of("admissionregistration.k8s.io/v1", kind));
    let all = KINDS.into_iter().flat_map(of);
    let holds = |configuration: &&Object| {
        list(&configuration.data["webhooks"])
            .filter(|webhook| webhook["failurePolicy"] != "Ignore")
            .filter(|webhook| is_called(inquiry, webhook, id, object))
            .any(|webhook| !of_one(inquiry, "", &webhook["clientConfig"]).is_empty())
    };
    all.filter(holds).map(ObjectRef::of).collect()
}

/// Whether the API server calls a webhook for an update of an object.
fn is_called(inquiry: &Inquiry<'_>, webhook: &Value, id: &ObjectRef, object: &Object) -> bool {
    let has = |list_of: &Value, one: &str| list(list_of).any(|each| each == "*" || each == one);
    let plural = id.plural();
    let is_ruled = list(&webhook["rules"]).any(|rule| {
        has(&rule["operations"], "UPDATE")
            && has(&rule["apiGroups"], id.group())
            && (has(&rule["resources"], &plural) || has(&rule["resources"], "*/*"))
            && match text(&rule["scope"]) {
                "Namespaced" => id.namespace.is_some(),
                "Cluster" => id.namespace.is_none(),
                _ => true,
            }
    });
    let labels = |object: &Object| object.metadata.labels.clone().unwrap_or_default();
    is_ruled
        && selector::selects_by_default(&webhook["objectSelector"], &labels(object))
        && is_in_a_selected_namespace(inquiry, webhook, id)
}

/// Objects without a namespace are called for, whatever the selector.
fn is_in_a_selected_namespace(inquiry: &Inquiry<'_>, webhook: &Value, id: &ObjectRef) -> bool {
    let selects = &webhook["namespaceSelector"];
    let is_for_all = selects.is_null() || selects.as_object().is_some_and(serde_json::Map::is_empty);
    if is_for_all || id.namespace.is_none() {
        return true;
    }
    let namespace = ObjectRef::cluster_scoped("v1", "Namespace", namespace(id));
    let labels: Option<BTreeMap<String, String>> =
        inquiry.found(&namespace).map(|namespace| namespace.metadata.labels.clone().unwrap_or_default());
    labels.is_some_and(|labels| selector::selects(selects, &labels))
}
