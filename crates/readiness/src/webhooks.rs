//! Webhooks that the API server calls through a Service: the configuration does not show whether it answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::Verdict;
use super::conditions::text;
use bootstrapper_core::object::{Object, ObjectRef, Selection};

/// A Service that the API server calls, and the first webhook that uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookService {
    configuration: ObjectRef,
    webhook: String,
    service: ObjectRef,
}

/// The Services of a configuration's webhooks with failure policy Fail. None for objects of other kinds.
pub fn webhook_services(object: &Object) -> Vec<WebhookService> {
    let configuration = ObjectRef::of(object);
    if configuration.group() != "admissionregistration.k8s.io" {
        return Vec::new();
    }
    let called = required_webhooks(object).map(|webhook| {
        let service = &webhook["clientConfig"]["service"];
        let service =
            ObjectRef::namespaced("v1", "Service", text(&service["namespace"]), text(&service["name"]));
        (service, text(&webhook["name"]))
    });
    let mut by_service = BTreeMap::new();
    for (service, webhook) in called {
        by_service.entry(service).or_insert(webhook);
    }
    let one = |(service, webhook): (ObjectRef, &str)| WebhookService {
        configuration: configuration.clone(),
        webhook: webhook.to_owned(),
        service,
    };
    by_service.into_iter().map(one).collect()
}

/// Webhooks of a Service with failure policy Fail.
pub(super) fn required_webhooks(configuration: &Object) -> impl Iterator<Item = &Value> {
    let webhooks = configuration.data["webhooks"].as_array().into_iter().flatten();
    webhooks
        .filter(|webhook| webhook["clientConfig"]["service"].is_object())
        .filter(|webhook| webhook["failurePolicy"] != "Ignore")
}

impl WebhookService {
    /// The EndpointSlices of the Service.
    pub fn slices(&self) -> Selection {
        Selection::of("discovery.k8s.io/v1", "EndpointSlice")
            .within(self.service.namespace.as_deref().unwrap_or_default())
            .labelled(&format!("kubernetes.io/service-name={}", self.service.name))
    }

    /// Its webhook.
    pub fn configuration(&self) -> &ObjectRef {
        &self.configuration
    }

    /// Whether one of these endpoints is ready.
    pub fn is_answered(&self, slices: &[Arc<Object>]) -> bool {
        slices.iter().any(|slice| ready_endpoints(slice) > 0)
    }

    /// The verdict if none is ready.
    pub fn unanswered(&self) -> Verdict {
        let Self { configuration, webhook, service } = self;
        Verdict::not_yet(format!("{service} of webhook {webhook} has no ready endpoints")).of(configuration)
    }
}

/// The number of ready endpoints in a slice. A missing condition counts as ready, as in the API.
pub fn ready_endpoints(slice: &Object) -> usize {
    let endpoints = slice.data["endpoints"].as_array().into_iter().flatten();
    endpoints.filter(|endpoint| endpoint["conditions"]["ready"] != false).count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn configuration(webhooks: &Value) -> Object {
        serde_json::from_value(json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "cert-manager"}, "webhooks": webhooks
        }))
        .unwrap()
    }

    fn slice(endpoints: &Value) -> Arc<Object> {
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "webhook-1", "namespace": "cert-manager"}, "endpoints": endpoints
        });
        Arc::new(serde_json::from_value(slice).unwrap())
    }

    #[test]
    fn each_service_is_called_once_and_only_where_a_webhook_must_answer() {
        let service = |name: &str| json!({"service": {"namespace": "cert-manager", "name": name}});
        let object = configuration(&json!([
            {"name": "a", "clientConfig": service("webhook")},
            {"name": "b", "clientConfig": service("webhook")},
            {"name": "c", "clientConfig": service("other"), "failurePolicy": "Ignore"},
            {"name": "d", "clientConfig": {"url": "https://10.0.0.1"}},
        ]));
        let called = webhook_services(&object);
        let named: Vec<(&str, &str)> =
            called.iter().map(|called| (called.webhook.as_str(), called.service.name.as_str())).collect();
        assert_eq!(named, [("a", "webhook")]);
        assert_eq!(
            called[0].slices(),
            Selection::of("discovery.k8s.io/v1", "EndpointSlice")
                .within("cert-manager")
                .labelled("kubernetes.io/service-name=webhook")
        );
    }

    #[test]
    fn a_webhook_answers_once_an_endpoint_of_its_service_is_ready() {
        let object = configuration(&json!([
            {"name": "a", "clientConfig": {"service": {"namespace": "cert-manager", "name": "webhook"}}}
        ]));
        let [called] = webhook_services(&object).try_into().unwrap();
        assert_eq!(
            called.unanswered().texts(),
            [
                "ValidatingWebhookConfiguration cert-manager: Service cert-manager/webhook of webhook a has no ready endpoints"
            ]
        );
        let starting = slice(&json!([{"addresses": ["10.0.0.1"], "conditions": {"ready": false}}]));
        assert!(!called.is_answered(&[]) && !called.is_answered(&[Arc::clone(&starting)]));
        let serving = slice(&json!([{"addresses": ["10.0.0.2"], "conditions": {"ready": true}}]));
        assert!(called.is_answered(&[starting, serving]));
        assert!(called.is_answered(&[slice(&json!([{"addresses": ["10.0.0.3"]}]))]));
    }

    #[test]
    fn anything_may_stand_in_a_configuration() {
        let seed = serde_json::to_value(configuration(&json!([
            {"name": "a", "clientConfig": {"service": {"namespace": "n", "name": "s"}}, "failurePolicy": "Fail"}
        ])))
        .unwrap();
        bootstrapper_core::fuzzing::objects(&[seed], |object| drop(webhook_services(object)));
    }
}
