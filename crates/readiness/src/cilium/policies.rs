//! BGP up to Cilium 1.18: a CiliumBGPPeeringPolicy has no status, so the sessions are queried from the
//! agents.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::Verdict;
use super::super::conditions::text;
use super::sessions::{SessionState, agent_session};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::selector::selects_by_default;

/// The CiliumNodes that the policies select.
pub fn nodes_with_policy<'a>(policies: &'a [Object], members: &'a [Object]) -> impl Iterator<Item = &'a str> {
    members.iter().filter(|member| policies_of(policies, member).next().is_some()).filter_map(name)
}

/// Whether every neighbour of every policy is established, and receives routes if pod ranges are exported.
/// `answers` has each agent's response, or its error.
pub fn verdict_of_policies(
    policies: &[Object],
    members: &[Object],
    answers: &BTreeMap<String, Result<Value, String>>,
) -> Verdict {
    let mut verdicts = members.iter().flat_map(|member| {
        let node = name(member).unwrap_or_default();
        let routers = policies_of(policies, member)
            .filter_map(|policy| policy.data["spec"]["virtualRouters"].as_array());
        routers.flatten().map(move |router| match answers.get(node) {
            None => {
                Verdict::not_yet("waiting for its agent").of(&ObjectRef::cluster_scoped("v1", "Node", node))
            }
            Some(Err(why)) => {
                Verdict::not_yet(why.clone()).of(&ObjectRef::cluster_scoped("v1", "Node", node))
            }
            Some(Ok(peers)) => of_router(router, peers).of(&ObjectRef::cluster_scoped("v1", "Node", node)),
        })
    });
    match verdicts.next() {
        None => Verdict::not_yet("no CiliumBGPPeeringPolicy selects a node"),
        Some(first) => verdicts.fold(first, Verdict::and),
    }
}

fn policies_of<'a>(policies: &'a [Object], member: &Object) -> impl Iterator<Item = &'a Object> {
    let labels = member.metadata.labels.clone().unwrap_or_default();
    // A policy without a selector applies to all nodes.
    policies.iter().filter(move |policy| selects_by_default(&policy.data["spec"]["nodeSelector"], &labels))
}

fn name(object: &Object) -> Option<&str> {
    object.metadata.name.as_deref()
}

fn of_router(router: &Value, peers: &Value) -> Verdict {
    let neighbours = router["neighbors"].as_array().into_iter().flatten();
    neighbours
        .map(|neighbour| {
            // A policy's peer address has a prefix length.
            let address = text(&neighbour["peerAddress"]).split('/').next().unwrap_or_default();
            let verdict = match agent_session(peers, address) {
                None => Verdict::not_yet("neighbor not configured by its agent yet"),
                Some(answer) => match answer.state().unwrap_or(SessionState::Unknown) {
                    state if !state.is_up() => Verdict::not_yet(format!("session is {state}")),
                    _ if router["exportPodCIDR"] == true && answer.advertises_nothing() => {
                        Verdict::not_yet("established, but no route is advertised")
                    }
                    _ => Verdict::Ready,
                },
            };
            verdict.about(&address)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn agents_tell_of_sessions() {
        let policy = object(
            json!({"apiVersion": "cilium.io/v2alpha1", "kind": "CiliumBGPPeeringPolicy", "metadata": {"name": "bgp"}, "spec": {
            "nodeSelector": {"matchLabels": {"bgp": "yes"}},
            "virtualRouters": [{"localASN": 64513, "exportPodCIDR": true, "neighbors": [{"peerAddress": "10.25.11.1/32", "peerASN": 64512}]}]}}),
        );
        let member = |name: &str, bgp: &str| {
            object(
                json!({"apiVersion": "cilium.io/v2", "kind": "CiliumNode", "metadata": {"name": name, "labels": {"bgp": bgp}}}),
            )
        };
        let (policies, members) = ([policy], [member("n1", "yes"), member("n2", "no")]);
        assert_eq!(nodes_with_policy(&policies, &members).collect::<Vec<_>>(), ["n1"]);
        let told = |answer: Result<Value, String>| {
            verdict_of_policies(&policies, &members, &BTreeMap::from([("n1".to_owned(), answer)]))
                .texts()
                .join("; ")
        };
        let peer = |state: &str, advertised: i64| {
            Ok(
                json!([{"peer-address": "10.25.11.1", "session-state": state, "families": [{"afi": "ipv4", "safi": "unicast", "advertised": advertised}]}]),
            )
        };
        assert_eq!(told(peer("established", 1)), "");
        assert_eq!(told(peer("active", 0)), "Node n1: 10.25.11.1: session is active");
        assert_eq!(
            told(peer("established", 0)),
            "Node n1: 10.25.11.1: established, but no route is advertised"
        );
        assert_eq!(told(Ok(json!([]))), "Node n1: 10.25.11.1: neighbor not configured by its agent yet");
        assert_eq!(told(Err("it hangs".into())), "Node n1: it hangs");
        let silent = verdict_of_policies(&policies, &members, &BTreeMap::new());
        assert_eq!(silent.texts(), ["Node n1: waiting for its agent"]);
        assert!(!verdict_of_policies(&policies, &members[1..], &BTreeMap::new()).is_ready());
    }
}
