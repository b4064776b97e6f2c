//! Which nodes match a pod's spec.

use std::collections::BTreeSet;

use serde_json::Value;

use super::facts::{as_selector, label, list};
use bootstrapper_core::object::Object;
use bootstrapper_readiness::text;

/// The node labels that a pod requires, as text.
pub(super) fn wanted(pod: &Object) -> String {
    let selector = as_selector(&pod.data["spec"]["nodeSelector"]);
    let terms = terms(pod).map(|term| {
        let needs = list(&term["matchExpressions"]).chain(list(&term["matchFields"]));
        let told = needs.map(|need| {
            let values: Vec<&str> = list(&need["values"]).map(text).collect();
            format!("{} {} {}", text(&need["key"]), text(&need["operator"]), values.join(", "))
                .trim()
                .to_owned()
        });
        told.collect::<Vec<_>>().join(" and ")
    });
    selector.into_iter().chain(terms).collect::<Vec<_>>().join(" and ")
}

fn terms(pod: &Object) -> impl Iterator<Item = &Value> {
    list(
        &pod.data["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"],
    )
}

/// Whether a node has the labels that a pod requires.
pub(super) fn fits(pod: &Object, node: &Object) -> bool {
    let by_selector = pod.data["spec"]["nodeSelector"]
        .as_object()
        .is_none_or(|wanted| wanted.iter().all(|(name, value)| label(node, name) == text(value)));
    let mut terms = terms(pod).peekable();
    let by_affinity = terms.peek().is_none()
        || terms.any(|term| {
            list(&term["matchExpressions"]).all(|need| {
                let name = text(&need["key"]);
                let has = node.metadata.labels.as_ref().and_then(|labels| labels.get(name));
                holds(need, has.map(String::as_str))
            }) && list(&term["matchFields"]).all(|need| holds(need, node.metadata.name.as_deref()))
        });
    by_selector && by_affinity
}

fn holds(need: &Value, has: Option<&str>) -> bool {
    let is_among = || list(&need["values"]).any(|value| Some(text(value)) == has);
    match text(&need["operator"]) {
        "In" => is_among(),
        "NotIn" => !is_among(),
        "Exists" => has.is_some(),
        "DoesNotExist" => has.is_none(),
        // Gt and Lt are left to the scheduler.
        _ => true,
    }
}

/// The taints of these nodes that a pod does not tolerate; none if it tolerates all.
pub(super) fn taints(pod: &Object, nodes: &[&Object]) -> Option<String> {
    let taints: BTreeSet<String> = nodes
        .iter()
        .flat_map(|node| list(&node.data["spec"]["taints"]))
        .filter(|taint| taint["effect"] != "PreferNoSchedule" && !is_tolerated(pod, taint))
        .map(|taint| match text(&taint["value"]) {
            "" => format!("{}:{}", text(&taint["key"]), text(&taint["effect"])),
            value => format!("{}={value}:{}", text(&taint["key"]), text(&taint["effect"])),
        })
        .collect();
    let taints: Vec<String> = taints.into_iter().collect();
    (!taints.is_empty()).then(|| format!("the taint {}", taints.join(" or ")))
}

fn is_tolerated(pod: &Object, taint: &Value) -> bool {
    list(&pod.data["spec"]["tolerations"]).any(|toleration| {
        let key = text(&toleration["key"]);
        let effect = text(&toleration["effect"]);
        (key.is_empty() || key == text(&taint["key"]))
            && (effect.is_empty() || effect == text(&taint["effect"]))
            && (text(&toleration["operator"]) == "Exists"
                || text(&toleration["value"]) == text(&taint["value"]))
    })
}
