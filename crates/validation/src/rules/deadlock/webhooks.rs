//! Webhooks must be ready before they intercept objects.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Scene, at, each};
use crate::{Finding, Rule, Severity};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_core::selector::selects_by_default;
use bootstrapper_gitops::order::{Kind, Moment, has_webhook_for};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "webhook-blocks-itself",
        severity: Severity::Error,
        summary: "a webhook intercepts its own pods",
        why: "while none of its pods runs, the API server rejects every pod, including those of the webhook: after a restart of all nodes it does not recover",
        fix: "exclude its own namespace with a namespaceSelector, or set `failurePolicy: Ignore`",
        check: |rule, fleet| each(fleet, |scene| blocks_itself(rule, scene)),
    },
    Rule {
        name: "webhook-not-awaited",
        severity: Severity::Warning,
        summary: "objects are applied right after a release whose webhook intercepts them, without waiting for it",
        why: "with `disableWait`, the release is ready as soon as Helm has applied it: the API server cannot reach the webhook yet, and rejects the objects",
        fix: "remove `install.disableWait` from the release",
        check: |rule, fleet| each(fleet, |scene| not_awaited(rule, scene)),
    },
];

const CONFIGURATIONS: [&str; 2] = ["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"];

fn blocks_itself(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let objects = scene.declared.objects().map(|object| (ObjectRef::of(object), object));
    let configurations = objects.filter(|(id, _)| CONFIGURATIONS.contains(&id.kind.as_str()));
    let of_objects = configurations.flat_map(|(id, object)| {
        let webhooks = object.data["webhooks"].as_array().into_iter().flatten().enumerate();
        let blocking = webhooks.filter_map(|(at_number, webhook)| {
            let namespace = at(webhook, "clientConfig.service.namespace").as_str()?;
            let blocks = webhook["failurePolicy"] != "Ignore"
                && asks_about_pods(webhook)
                && selects_by_default(&webhook["namespaceSelector"], &labels_of(scene, namespace))
                && is_empty(&webhook["objectSelector"])
                && is_empty(&webhook["matchConditions"]);
            let message = format!(
                "{id} calls Service {namespace}/{} for every pod, including those in namespace {namespace}",
                at(webhook, "clientConfig.service.name").as_str().unwrap_or_default()
            );
            blocks.then(|| scene.finding(rule, &id, &format!("webhooks[{at_number}].name"), message))
        });
        blocking.collect::<Vec<_>>()
    });
    let of_releases = scene.declared.releases.iter().filter_map(|release| {
        let values = &release.values;
        let value = match release.chart.name() {
            "kyverno" if *at(values, "config.excludeKyvernoNamespace") == false => {
                "config.excludeKyvernoNamespace"
            }
            "gatekeeper"
                if at(values, "validatingWebhookFailurePolicy") == "Fail"
                    && *at(values, "postInstall.labelNamespace.enabled") == false =>
            {
                "validatingWebhookFailurePolicy"
            }
            _ => return None,
        };
        let message = format!("{} has a webhook that intercepts its own pods ({value})", release.id);
        Some(scene.finding(rule, &release.id, &format!("spec.values.{value}"), message))
    });
    of_objects.chain(of_releases).collect()
}

/// Whether it intercepts the creation of pods.
fn asks_about_pods(webhook: &Value) -> bool {
    let has = |rule: &Value, field: &str, wanted: &[&str]| {
        let mut values = rule[field].as_array().into_iter().flatten().filter_map(Value::as_str);
        values.any(|value| wanted.contains(&value))
    };
    webhook["rules"].as_array().into_iter().flatten().any(|rule| {
        has(rule, "apiGroups", &["", "*"])
            && has(rule, "resources", &["pods", "*", "*/*", "pods/*"])
            && has(rule, "operations", &["CREATE", "*"])
    })
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => true,
    }
}

/// The labels of a namespace: its own, and the standard one.
fn labels_of(scene: &Scene<'_>, namespace: &str) -> BTreeMap<String, String> {
    let mut labels =
        scene.declared.namespace(namespace).and_then(|one| one.metadata.labels.clone()).unwrap_or_default();
    labels.insert("kubernetes.io/metadata.name".to_owned(), namespace.to_owned());
    labels
}

/// Reported once per Kustomization and release.
fn not_awaited(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let hasty = scene
        .declared
        .releases
        .iter()
        .filter(|release| at(&release.object.data, "spec.install.disableWait") == true);
    let found = hasty.flat_map(|release| {
        let asked = |id: &ObjectRef| Kind::of(id).is_some_and(|kind| has_webhook_for(release, &kind.group));
        let after = scene.declared.kustomizations.iter().filter(|one| {
            scene.order.is_after(&Moment::begins(&one.id), &Moment::ready(&release.id))
        });
        let found = after.filter_map(move |one| {
            let first = one.objects.iter().map(ObjectRef::of).find(asked)?;
            let message = format!(
                "{first} (Kustomization {}) follows {}, whose webhook intercepts it, but which does not wait (install.disableWait)",
                one.id.name, release.id
            );
            Some(scene.finding(rule, &first, "kind", message))
        });
        found.collect::<Vec<_>>()
    });
    found.collect()
}
