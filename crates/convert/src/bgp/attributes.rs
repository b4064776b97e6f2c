//! The attributes that a policy adds to the routes of a neighbor.

use super::fields::{Fields, Problems};
use bootstrapper_core::yaml::written::{Mark, Node, Value};

/// The attributes of the routes to a neighbor.
pub(super) struct Attributes {
    pub(super) to: Routes,
    pub(super) mark: Mark,
    /// The selected pools; none for all.
    pub(super) selector: Option<Node>,
    pub(super) values: Node,
}

/// The routes that they apply to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Routes {
    Pods,
    LoadBalancers,
    Pools,
}

impl Attributes {
    /// None if it sets no attributes.
    pub(super) fn read(own: Node, problems: &mut Problems) -> Option<Self> {
        let (mark, notes) = (own.mark, own.notes.clone());
        let mut fields = Fields::open("the path attributes", own, problems)?;
        let kind = fields.require("selectorType", problems)?;
        let to = match kind.as_text() {
            Some("PodCIDR") => Routes::Pods,
            Some("CiliumLoadBalancerIPPool") => Routes::LoadBalancers,
            Some("CiliumPodIPPool") => Routes::Pools,
            _ => {
                problems.refuse(kind.mark, "selectorType is invalid in the old kind", "correct it first");
                return None;
            }
        };
        // An empty selector matches everything, like a missing one.
        let selector = fields.take("selector").filter(|selector| !selects_all(selector));
        match (to, &selector) {
            (Routes::Pods, Some(selector)) => problems.refuse(
                selector.mark,
                "attributes for the pods of some nodes have no replacement",
                "create a separate policy for those nodes, with its nodeSelector, and remove this selector",
            ),
            (Routes::LoadBalancers, Some(selector)) => problems.refuse(
                selector.mark,
                "attributes for the addresses of some pools have no replacement: the new kind selects Services",
                "label the Services that use these pools, and create a separate advertisement for them",
            ),
            _ => {}
        }
        let mut values = fields.take_all(&["communities", "localPreference"]);
        fields.close(problems);
        if let Some((_, first)) = values.first_mut() {
            // The first part keeps the comments of the whole.
            let of_kind = kind.notes.above.iter().chain(&kind.notes.beside).cloned();
            first.notes.above.splice(0..0, notes.above.into_iter().chain(notes.beside).chain(of_kind));
        }
        (!values.is_empty()).then(|| Self { to, mark, selector, values: Node::map(values) })
    }
}

fn selects_all(selector: &Node) -> bool {
    match &selector.value {
        Value::Map(entries, _) => entries.iter().all(|(_, node)| match &node.value {
            Value::Map(entries, _) => entries.is_empty(),
            Value::List(items, _) => items.is_empty(),
            Value::Scalar(_) => node.is_null(),
        }),
        _ => false,
    }
}
