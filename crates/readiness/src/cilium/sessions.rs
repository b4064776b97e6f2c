//! BGP sessions: declared by a CiliumBGPNodeConfig, with the state from its status or from an agent.

use std::fmt;

use jiff::Timestamp;
use serde_json::Value;

use super::super::conditions::{number, text};
use bootstrapper_core::object::Object;

/// A state of the BGP state machine (RFC 4271, section 8), with Cilium's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// Missing or unknown.
    Unknown,
    /// Rejected, or just ended.
    Idle,
    /// Connecting.
    Connect,
    /// Waiting for a connection.
    Active,
    /// Connected, and the first message is sent.
    OpenSent,
    /// Both sides have sent their parameters.
    OpenConfirm,
    /// Established.
    Established,
}

impl SessionState {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Unknown, "unknown"),
        (Self::Idle, "idle"),
        (Self::Connect, "connect"),
        (Self::Active, "active"),
        (Self::OpenSent, "open_sent"),
        (Self::OpenConfirm, "open_confirm"),
        (Self::Established, "established"),
    ];

    fn of(value: &Value) -> Self {
        Self::ALL.iter().find(|(_, name)| value == name).map_or(Self::Unknown, |(state, _)| *state)
    }

    /// Whether the session is established.
    pub fn is_up(self) -> bool {
        self == Self::Established
    }

    /// Whether there is no connection.
    pub fn has_no_connection(self) -> bool {
        matches!(self, Self::Idle | Self::Connect | Self::Active)
    }

    /// Cilium's name of the state.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("unknown", |(_, name)| *name)
    }
}

impl fmt::Display for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A session declared by a CiliumBGPNodeConfig.
#[derive(Debug, Clone, Copy)]
pub struct Session<'a> {
    peer: &'a Value,
    status: Option<&'a Value>,
}

impl<'a> Session<'a> {
    /// The session with a peer, and its status.
    pub(crate) fn new(peer: &'a Value, status: Option<&'a Value>) -> Self {
        Self { peer, status }
    }

    /// Its declaration.
    pub fn peer(&self) -> &'a Value {
        self.peer
    }

    /// Its status.
    pub fn status(&self) -> Option<&'a Value> {
        self.status
    }

    /// The address of the peer; empty if the operator has not assigned one yet.
    pub fn address(&self) -> &'a str {
        text(&self.peer["peerAddress"])
    }

    /// Its state, according to the API.
    pub fn state(&self) -> SessionState {
        self.status.map_or(SessionState::Unknown, |status| SessionState::of(&status["peeringState"]))
    }

    /// When it was established.
    pub fn since(&self) -> Option<Timestamp> {
        text(&self.status?["establishedTime"]).parse().ok()
    }

    /// The number of advertised routes per family, if reported.
    pub fn advertised(&self, family: &Value) -> Option<i64> {
        self.counts().find(|count| count["afi"] == *family)?["advertised"].as_i64()
    }

    /// Whether the number of advertised routes is reported, and is 0.
    pub fn advertises_nothing(&self) -> bool {
        self.counts().next().is_some() && self.counts().all(|count| number(&count["advertised"]) == 0)
    }

    fn counts(&self) -> impl Iterator<Item = &'a Value> {
        self.status.and_then(|status| status["routeCount"].as_array()).into_iter().flatten()
    }
}

/// The sessions of a CiliumBGPNodeConfig.
pub fn sessions(config: &Object) -> impl Iterator<Item = Session<'_>> {
    instances(&config.data["spec"]).flat_map(|instance| sessions_of(config, instance))
}

/// The sessions of one BGP instance, whose status has the same name.
pub(super) fn sessions_of<'a>(config: &'a Object, instance: &'a Value) -> impl Iterator<Item = Session<'a>> {
    let reported = instances(&config.data["status"]).find(|one| one["name"] == instance["name"]);
    let statuses = move || reported.and_then(|one| one["peers"].as_array()).into_iter().flatten();
    let peers = instance["peers"].as_array().into_iter().flatten();
    peers.map(move |peer| Session::new(peer, statuses().find(|status| status["name"] == peer["name"])))
}

pub(super) fn instances(side: &Value) -> impl Iterator<Item = &Value> {
    side["bgpInstances"].as_array().into_iter().flatten()
}

/// An agent's report on a session, from `cilium-dbg bgp peers -o json`.
#[derive(Debug, Clone, Copy)]
pub struct AgentSession<'a>(&'a Value);

/// An agent's report on its session with an address, if any.
pub fn agent_session<'a>(peers: &'a Value, address: &str) -> Option<AgentSession<'a>> {
    peers.as_array()?.iter().find(|peer| peer["peer-address"] == address).map(AgentSession)
}

impl<'a> AgentSession<'a> {
    /// The state of the session, if reported.
    pub fn state(&self) -> Option<SessionState> {
        let state = &self.0["session-state"];
        state.is_string().then(|| SessionState::of(state))
    }

    /// The routes of each family.
    pub fn families(&self) -> &'a Value {
        &self.0["families"]
    }

    /// Whether no route is advertised.
    pub fn advertises_nothing(&self) -> bool {
        let mut families = self.families().as_array().into_iter().flatten();
        families.all(|family| number(&family["advertised"]) == 0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn states_are_read_as_cilium_writes_them() {
        for (state, name) in SessionState::ALL {
            assert_eq!((SessionState::of(&json!(name)), state.to_string().as_str()), (state, name));
        }
        let table = [(json!("Established"), false), (json!("established"), true), (Value::Null, false)];
        for (told, is_up) in table {
            assert_eq!(SessionState::of(&told).is_up(), is_up, "{told}");
        }
    }

    #[test]
    fn peers_with_the_same_name_are_distinguished_by_instance() {
        let side = |one: Value, two: Value| json!({"bgpInstances": [{"name": "one", "peers": [one]}, {"name": "two", "peers": [two]}]});
        let peer = |address: &str| json!({"name": "router", "peerAddress": address});
        let told = |state: &str| json!({"name": "router", "peeringState": state});
        let config: Object = serde_json::from_value(json!({
            "apiVersion": "cilium.io/v2", "kind": "CiliumBGPNodeConfig", "metadata": {"name": "n"},
            "spec": side(peer("10.0.0.1"), peer("10.0.0.2")),
            "status": side(told("active"), told("established")),
        }))
        .unwrap();
        let states: Vec<(&str, bool)> =
            sessions(&config).map(|session| (session.address(), session.state().is_up())).collect();
        assert_eq!(states, [("10.0.0.1", false), ("10.0.0.2", true)]);
    }

    #[test]
    fn an_answer_may_say_nothing() {
        let peers = json!([{"peer-address": "10.0.0.1"}, {"peer-address": "10.0.0.2", "session-state": "idle", "families": [{"advertised": 1}]}]);
        assert_eq!(agent_session(&peers, "10.0.0.1").unwrap().state(), None);
        let second = agent_session(&peers, "10.0.0.2").unwrap();
        assert_eq!((second.state(), second.advertises_nothing()), (Some(SessionState::Idle), false));
        assert!(agent_session(&peers, "10.0.0.3").is_none() && agent_session(&json!("no"), "").is_none());
    }
}
