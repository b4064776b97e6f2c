//! BGP sessions that the API reports as down although they are established.
//!
//! Cilium computes the status of a CiliumBGPNodeConfig only when its BGP server reports an event
//! (`reconcileState` in `pkg/bgp/manager/state_tracker.go`), and compares it with what it has last written,
//! not with the live object (`reconcileCRDStatus` in `pkg/bgp/manager/reconciler/crd_status.go`). gobgp 4.8
//! reports a new state before it has stored it (`loop` in `pkg/server/fsm.go`: `callback` precedes
//! `state.Store`), so an immediate query returns the previous state, such as `open_confirm`. If the router
//! sends no routes, no event follows, and the status stays stale.

use serde_json::{Value, json};

use super::sessions::{AgentSession, Session, SessionState, agent_session, instances, sessions, sessions_of};
use bootstrapper_core::object::Object;

/// The command to run in an agent's container `cilium-agent`.
pub const PEERS_OF_AGENT: [&str; 5] = ["cilium-dbg", "bgp", "peers", "-o", "json"];

/// The address and state of each session that a CiliumBGPNodeConfig reports as down.
pub fn sessions_down(config: &Object) -> Vec<(String, String)> {
    let down = sessions(config).filter(is_down);
    down.map(|session| (session.address().to_owned(), session.state().to_string())).collect()
}

fn is_down(session: &Session<'_>) -> bool {
    !session.address().is_empty() && !session.state().is_up()
}

/// A CiliumBGPNodeConfig whose down sessions have the states reported by the node's agent; and which of them
/// are established.
pub fn as_reported_by_agent(config: &Object, peers: &Value) -> (Object, Vec<String>) {
    let mut up = Vec::new();
    let statuses: Vec<Value> = instances(&config.data["spec"])
        .map(|instance| {
            let peers: Vec<Value> = sessions_of(config, instance)
                .filter_map(|session| {
                    let answer = is_down(&session).then(|| agent_session(peers, session.address())).flatten();
                    let Some((answer, state)) = answer.and_then(with_state) else {
                        return session.status().cloned();
                    };
                    if state.is_up() {
                        up.push(format!(
                            "its session with {} is up, according to its agent; the API still reports {}, because Cilium's status is stale",
                            session.address(),
                            session.state()
                        ));
                    }
                    Some(json!({
                        "name": session.peer()["name"],
                        "peerAddress": session.peer()["peerAddress"],
                        "peeringState": state.as_str(),
                        "routeCount": answer.families(),
                    }))
                })
                .collect();
            json!({"name": instance["name"], "peers": peers})
        })
        .collect();
    let mut corrected = config.clone();
    if let Some(fields) = corrected.data.as_object_mut() {
        fields.insert("status".to_owned(), json!({"bgpInstances": statuses}));
    }
    (corrected, up)
}

fn with_state(answer: AgentSession<'_>) -> Option<(AgentSession<'_>, SessionState)> {
    Some((answer, answer.state()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(status: &Value) -> Object {
        serde_json::from_value(json!({
            "apiVersion": "cilium.io/v2", "kind": "CiliumBGPNodeConfig", "metadata": {"name": "n"},
            "spec": {"bgpInstances": [{"name": "main", "peers": [
                {"name": "one", "peerAddress": "10.0.0.1"}, {"name": "two", "peerAddress": "10.0.0.2"}]}]},
            "status": status,
        }))
        .unwrap()
    }

    fn status(one: &str, two: &str) -> Value {
        json!({"bgpInstances": [{"name": "main", "peers": [
            {"name": "one", "peeringState": one, "routeCount": [{"afi": "ipv4", "advertised": 7}]},
            {"name": "two", "peeringState": two}]}]})
    }

    fn word(address: &str, state: &str) -> Value {
        json!({"peer-address": address, "session-state": state, "families": [{"afi": "ipv4", "advertised": 2}]})
    }

    #[test]
    fn a_session_is_down_that_is_not_called_established() {
        let down = |status: &Value| sessions_down(&config(status));
        let told = |address: &str, state: &str| (address.to_owned(), state.to_owned());
        assert_eq!(down(&status("established", "established")), []);
        assert_eq!(down(&status("established", "open_confirm")), [told("10.0.0.2", "open_confirm")]);
        let nothing = [told("10.0.0.1", "unknown"), told("10.0.0.2", "unknown")];
        for told_nothing in
            [json!(null), json!("x"), json!({"bgpInstances": 7}), json!({"bgpInstances": [{"peers": {}}]})]
        {
            assert_eq!(down(&told_nothing), nothing);
        }
    }

    #[test]
    fn an_agent_is_believed_of_sessions_that_the_api_calls_down() {
        let peers = |one: &str, two: &str| json!([word("10.0.0.1", one), word("10.0.0.2", two)]);
        // The API; the agent; how many are down afterwards, and established.
        let table = [
            (status("open_confirm", "established"), peers("established", "established"), 0, 1),
            (status("open_confirm", "idle"), peers("established", "active"), 1, 1),
            (status("idle", "idle"), peers("active", "active"), 2, 0),
            (json!(null), peers("established", "established"), 0, 2),
            // Sessions that the agent does not report keep the API's state, and so do those that the API
            // reports as established.
            (status("open_confirm", "established"), json!([]), 1, 0),
            (status("open_confirm", "established"), json!("no answer"), 1, 0),
            (status("established", "established"), peers("idle", "idle"), 0, 0),
        ];
        for (status, peers, down, up) in table {
            let (corrected, told) = as_reported_by_agent(&config(&status), &peers);
            assert_eq!((sessions_down(&corrected).len(), told.len()), (down, up), "{status} {peers}");
        }
        let (corrected, told) = as_reported_by_agent(
            &config(&status("open_confirm", "established")),
            &peers("established", "idle"),
        );
        let live = &corrected.data["status"]["bgpInstances"][0]["peers"][0];
        assert_eq!(live["routeCount"], json!([{"afi": "ipv4", "advertised": 2}]));
        assert!(
            told[0].starts_with("its session with 10.0.0.1 is up") && told[0].contains("open_confirm"),
            "{told:?}"
        );
    }
}
