//! What a router advertises to a neighbor, and with which attributes.

use super::attributes::{Attributes, Routes};
use super::fields::{Fields, Problems};
use super::policy::Router;
use bootstrapper_core::yaml::written::{Node, Scalar, Value};

const LOAD_BALANCER: &str = "LoadBalancerIP";

/// The items of the advertisement to a neighbor with these route attributes.
pub(super) fn advertised(router: &Router, attributes: &[Attributes], problems: &mut Problems) -> Vec<Node> {
    refuse_twice(attributes, problems);
    let of_all = |to| attributes.iter().find(|one| one.to == to && one.selector.is_none());
    let mut items = Vec::new();
    if let Some(pods) = &router.exports_pods {
        let item = Node::map([("advertisementType", Node::text("PodCIDR").with_notes(pods.notes.clone()))]);
        items.push(with_attributes(item, of_all(Routes::Pods)));
    }
    if let Some(selector) = &router.pools {
        items.push(with_attributes(pools(selector.clone()), of_all(Routes::Pools)));
        // If two advertisements contain the same route, the new agent merges the attributes.
        let of_some = attributes.iter().filter(|one| one.to == Routes::Pools);
        for (one, chosen) in of_some.filter_map(|one| Some((one, one.selector.as_ref()?))) {
            match both(selector, chosen) {
                Some(selector) => items.push(with_attributes(pools(selector), Some(one))),
                None => problems.refuse(chosen.mark, "invalid selector", "correct it first"),
            }
        }
    }
    if let Some(selector) = &router.services {
        items.extend(services(router, selector, of_all(Routes::LoadBalancers), problems));
    }
    items
}

/// If two had the same selector, the old agent kept only the last, which was never intended.
fn refuse_twice(attributes: &[Attributes], problems: &mut Problems) {
    for (at, one) in attributes.iter().enumerate() {
        let is_same = |other: &&Attributes| match (&other.selector, &one.selector) {
            (None, None) => other.to == one.to,
            (Some(a), Some(b)) => other.to == one.to && a.has_same_value(b),
            _ => false,
        };
        if attributes[..at].iter().any(|other| is_same(&other)) {
            problems.refuse(
                one.mark,
                "duplicate entry: an earlier one has the same selection",
                "remove one of them; the old agent used the last one",
            );
        }
    }
}

fn with_attributes(mut item: Node, attributes: Option<&Attributes>) -> Node {
    if let (Value::Map(entries, _), Some(attributes)) = (&mut item.value, attributes) {
        entries.push((Scalar::plain("attributes"), attributes.values.clone()));
    }
    item
}

fn pools(selector: Node) -> Node {
    Node::map([("advertisementType", Node::text("CiliumPodIPPool")), ("selector", selector)])
}

/// The old kind advertised load balancer addresses by default. Attributes applied only to those, so they get
/// a separate item.
fn services(
    router: &Router,
    selector: &Node,
    attributes: Option<&Attributes>,
    problems: &mut Problems,
) -> Vec<Node> {
    let item = |addresses: Node| {
        Node::map([
            ("advertisementType", Node::text("Service")),
            ("service", Node::map([("addresses", addresses)])),
            ("selector", selector.clone()),
        ])
    };
    let default = || Node::list(vec![Node::text(LOAD_BALANCER)]);
    let addresses = router.addresses.clone().unwrap_or_else(default);
    let all = Fields::items(addresses.clone(), problems);
    if all.is_empty() {
        return Vec::new();
    }
    if attributes.is_none() {
        return vec![item(addresses)];
    }
    if let Some(unknown) = all.iter().find(|one| one.as_text().is_none_or(|text| text.contains("${"))) {
        problems.refuse(
            unknown.mark,
            "before substitution, it is unknown whether this address gets attributes",
            "write the type of address literally",
        );
    }
    let is_balanced = |node: &Node| node.as_text() == Some(LOAD_BALANCER);
    let (balanced, others): (Vec<Node>, Vec<Node>) = all.into_iter().partition(is_balanced);
    let mut items = Vec::new();
    if !balanced.is_empty() {
        items.push(with_attributes(item(Node::list(balanced)), attributes));
    }
    if !others.is_empty() {
        items.push(item(Node::list(others)));
    }
    items
}

/// A selector for the intersection of both.
fn both(a: &Node, b: &Node) -> Option<Node> {
    let mut labels: Vec<(Scalar, Node)> = Vec::new();
    let mut expressions = Vec::new();
    for selector in [a, b] {
        let Value::Map(entries, _) = &selector.value else { return None };
        for (key, node) in entries {
            match (key.text.as_str(), &node.value) {
                ("matchLabels", Value::Map(pairs, _)) => {
                    for (label, value) in pairs {
                        match labels.iter().find(|(own, _)| own.text == label.text) {
                            None => labels.push((label.clone(), value.clone())),
                            Some((_, own)) if own.has_same_value(value) => {}
                            // No object has both values; a selector with two expressions can express that.
                            Some(_) => expressions.push(Node::map([
                                ("key", Node::text(&label.text)),
                                ("operator", Node::text("In")),
                                ("values", Node::list(vec![value.bare()])),
                            ])),
                        }
                    }
                }
                ("matchExpressions", Value::List(items, _)) => expressions.extend(items.iter().cloned()),
                _ => return None,
            }
        }
    }
    let mut entries = Vec::new();
    if !labels.is_empty() {
        let labels = Node::new(Value::Map(labels, bootstrapper_core::yaml::written::Style::Block));
        entries.push(("matchLabels", labels));
    }
    if !expressions.is_empty() {
        entries.push(("matchExpressions", Node::list(expressions)));
    }
    Some(Node::map(entries))
}
