//! Creates new YAML nodes with the comments of the old ones.

use bootstrapper_core::yaml::written::{Node, Scalar, Value};

/// A number must not be quoted, and neither must a variable that Flux replaces with a number.
pub(super) fn number(node: Node) -> Node {
    match &node.value {
        Value::Scalar(scalar) => {
            let value = Value::Scalar(Scalar::plain(&scalar.text));
            node.with_value(value)
        }
        _ => node,
    }
}

/// A list with the same comments and position, and other items.
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
