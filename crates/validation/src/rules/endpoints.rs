//! Services and the pods that they select.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::fleet::{Placed, objects_of};
use crate::paths::values_at;
use crate::pods::{containers, pod_of};
use crate::schema::is_unknown;
use crate::{Finding, Rule, Severity, known};
use bootstrapper_core::selector::selects;

pub(crate) const RULES: &[Rule] = &[Rule {
    name: "service-without-endpoints",
    severity: Severity::Error,
    summary: "a Service selects no pods, or leads to a port name that its pods do not have",
    why: "the Service has no endpoints: whatever calls it gets no answer, and nothing reports it",
    fix: "correct the selector or targetPort of the Service, or the labels and port names of the pods",
    check: |rule, fleet| fleet.each_whole_object(|placed| without(rule, placed).into_iter().collect()),
}];

type Labels = BTreeMap<String, String>;

/// The labels of a workload's pods.
fn labels_of(placed: Placed<'_>) -> Labels {
    let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    let of_template = ["spec.template.metadata.labels", "spec.jobTemplate.spec.template.metadata.labels"];
    let written = of_template.iter().flat_map(|path| values_at(&placed.object.data, path));
    let mut labels: Labels =
        written.filter_map(|(_, labels)| labels.as_object()).flatten().filter_map(text).collect();
    if placed.is("", "Pod") {
        labels = placed.object.metadata.labels.clone().unwrap_or_default();
    }
    labels
}

fn without(rule: &Rule, placed: Placed<'_>) -> Option<Finding> {
    if !placed.is("", "Service") || placed.field(&["spec", "type"]) == "ExternalName" {
        return None;
    }
    let selector = placed.field(&["spec", "selector"]);
    let is_selecting = selector.as_object().is_some_and(|labels| !labels.is_empty());
    if !is_selecting || is_unknown(&selector.to_string()) {
        return None;
    }
    let own = placed.object.metadata.namespace.as_deref()?;
    let labels = serde_json::json!({ "matchLabels": selector });
    let here = objects_of(placed.declared)
        .filter(|one| pod_of(*one).is_some() && one.object.metadata.namespace.as_deref() == Some(own));
    let here: Vec<Placed<'_>> = here.collect();
    let selected: Vec<&Placed<'_>> = here.iter().filter(|one| selects(&labels, &labels_of(**one))).collect();
    let may_be_made = || {
        // Pods of the platform and of operators.
        own == "kube-system"
            || Some(own) == placed.declared.sync.metadata.namespace.as_deref()
            || known::possible_creator_in(placed.declared, own, &placed.id().name).is_some()
    };
    if selected.is_empty() {
        // Where nothing runs, what runs is not declared here.
        let is_alone = here.is_empty() || may_be_made();
        let message = format!("{} selects {selector}, which no pod of its namespace has", placed.id());
        return (!is_alone).then(|| placed.finding(rule, "spec.selector", message));
    }
    let mut ports = values_at(&placed.object.data, "spec.ports[].targetPort").into_iter();
    let (path, name) = ports.find_map(|(path, port)| {
        let name = port.as_str().filter(|name| name.parse::<u16>().is_err() && !is_unknown(name))?;
        let has = selected.iter().any(|one| has_port(**one, name));
        (!has).then_some((path, name))
    })?;
    let message =
        format!("{} leads to a port called {name}, and {} has none", placed.id(), selected.first()?.id());
    (!may_be_made()).then(|| placed.finding(rule, &path, message))
}

fn has_port(workload: Placed<'_>, name: &str) -> bool {
    let Some((path, pod)) = pod_of(workload) else { return false };
    containers(&path, pod)
        .iter()
        .any(|(_, container)| values_at(container, "ports[].name").iter().any(|(_, port)| *port == name))
}
