//! Nodes of the new objects, with the comments of the old ones.

use bootstrapper_core::yaml::written::{Node, Scalar, Value};

/// A number must not stand in quotes; neither must what Flux makes a number of.
pub(super) fn number(node: Node) -> Node {
    match &node.value {
        Value::Scalar(scalar) => {
            let value = Value::Scalar(Scalar::plain(&scalar.text));
            node.with_value(value)
        }
        _ => node,
    }
}

/// A list of the same comments and place, with other items.
pub(super) fn relisted(list: &Node, items: Vec<Node>) -> Node {
    Node::list(items).with_notes(list.notes.clone())
}

/// A map with the comments of another.
pub(super) fn remapped<'a>(own: &Node, entries: impl IntoIterator<Item = (&'a str, Node)>) -> Node {
    Node::map(entries).with_notes(own.notes.clone())
}

/// A scalar with the comments of another.
pub(super) fn rewritten(own: &Node, scalar: Scalar) -> Node {
    Node::new(Value::Scalar(scalar)).with_notes(own.notes.clone())
}
