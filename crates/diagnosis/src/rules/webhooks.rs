//! Webhook configurations without ready endpoints.

use super::facts::{endpoints, list};
use super::refusals::WEBHOOK_SILENT;
use super::services;
use crate::finding::{Finding, Insight};
use crate::scene::{Inquiry, Known};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_readiness::text;

pub(super) fn inspect(inquiry: &Inquiry<'_>, configuration: &Object) -> Insight {
    list(&configuration.data["webhooks"])
        .filter(|webhook| webhook["failurePolicy"] != "Ignore")
        .map(|webhook| of_one(inquiry, text(&webhook["name"]), &webhook["clientConfig"]))
        .fold(Insight::nothing(), Insight::join)
}

fn of_one(inquiry: &Inquiry<'_>, name: &str, client: &serde_json::Value) -> Insight {
    let service = &client["service"];
    if !service.is_object() {
        return Insight::nothing();
    }
    let id = ObjectRef::namespaced("v1", "Service", text(&service["namespace"]), text(&service["name"]));
    let silent =
        |why: String| Finding::new(&WEBHOOK_SILENT, format!("webhook {name} does not answer: {why}"));
    match inquiry.object(&id) {
        Known::Unknown => Insight::nothing(),
        Known::Missing => silent(format!("{id} not found")).into(),
        Known::Found(_) if endpoints(inquiry, &id) == Some(0) => Insight {
            findings: vec![silent(format!("{id} has no ready endpoints"))],
            waits_for: services::behind(inquiry, &id),
        },
        Known::Found(_) if text(&client["caBundle"]).is_empty() => {
            silent("it has no caBundle, so its certificate cannot be verified".to_owned())
                .remedy("inject it with cert-manager's cainjector or the webhook's own program")
                .into()
        }
        Known::Found(_) => Insight::nothing(),
    }
}
