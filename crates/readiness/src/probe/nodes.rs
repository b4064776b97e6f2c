//! Whether nodes are ready and schedulable.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::Verdict;
use super::super::conditions::text;
use super::super::heartbeat::Silence;
use super::super::rules::verdict;
use super::name;
use bootstrapper_core::object::{Object, ObjectRef};

/// `silent` are the nodes without heartbeats.
pub(super) fn verdict_of(nodes: &[Arc<Object>], silent: &BTreeMap<String, Silence>) -> Verdict {
    const BARRIERS: [&str; 4] = [
        "node.cilium.io/agent-not-ready",
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/network-unavailable",
        "node.cloudprovider.kubernetes.io/uninitialized",
    ];
    if nodes.is_empty() {
        return Verdict::not_yet("no node has joined");
    }
    nodes
        .iter()
        .map(|node| {
            let taints = node.data["spec"]["taints"].as_array();
            let barrier = taints.into_iter().flatten().find(|taint| BARRIERS.contains(&text(&taint["key"])));
            let taken = match barrier {
                Some(taint) => Verdict::not_yet(format!("has the taint {}", text(&taint["key"]))),
                None => Verdict::Ready,
            };
            let heard = match silent.get(name(node)) {
                // A number of seconds would change every second.
                Some(Silence { since, .. }) => Verdict::not_yet(format!(
                    "no heartbeat since {}: powered off, or disconnected?",
                    since.strftime("%H:%M:%SZ")
                )),
                None => Verdict::Ready,
            };
            heard.and(verdict(node)).and(taken).of(&ObjectRef::of(node))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn judged(taints: &Value, silent: &BTreeMap<String, Silence>) -> Verdict {
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"},
            "spec": {"taints": taints}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        verdict_of(&[Arc::new(serde_json::from_value(node).unwrap())], silent)
    }

    #[test]
    fn taints_keep_nodes_from_being_ready() {
        let is_ready = |taints: Value| judged(&taints, &BTreeMap::new()).is_ready();
        assert!(is_ready(json!([{"key": "node-role.kubernetes.io/control-plane"}])));
        assert!(!is_ready(json!([{"key": "node.cilium.io/agent-not-ready"}])));
    }

    #[test]
    fn a_node_that_is_silent_is_not_ready_whatever_it_said_last() {
        let silence = Silence { since: "2026-01-01T10:00:00Z".parse().unwrap(), seconds: 30 };
        let told = judged(&json!([]), &BTreeMap::from([("n1".to_owned(), silence)])).texts().join("; ");
        assert!(told.contains("n1: no heartbeat since 10:00:00Z"), "{told}");
    }
}
