//! Whether every declared session is established, and routes are advertised where declared.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

use super::super::Verdict;
use super::super::cilium::{AGENT_CONTAINER, Session, SessionState};
use super::super::conditions::text;
use super::super::rules::verdict;
use super::{by_node, name, node_ref};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::selector::{selects, selects_by_default};

/// The observed objects of the BGP control plane.
pub(super) struct Bgp<'a> {
    pub(super) configs: &'a [Arc<Object>],
    pub(super) nodes: &'a [Arc<Object>],
    pub(super) members: &'a [Arc<Object>],
    pub(super) agents: &'a [Arc<Object>],
    pub(super) peer_configs: &'a [Arc<Object>],
    pub(super) advertisements: &'a [Arc<Object>],
}

impl Bgp<'_> {
    pub(super) fn verdict(&self) -> Verdict {
        if self.configs.is_empty() {
            return Verdict::not_yet("no CiliumBGPClusterConfig found");
        }
        let accepted: Verdict =
            self.configs.iter().map(|config| verdict(config).of(&ObjectRef::of(config))).collect();
        let nobody = if self.nodes.is_empty() {
            Verdict::not_yet("no node has a BGP configuration yet")
        } else {
            Verdict::Ready
        };
        accepted.and(nobody).and(self.members.iter().map(|member| self.member(member)).collect())
    }

    /// Each selected node has all of its peers.
    fn member(&self, member: &Object) -> Verdict {
        let labels = member.metadata.labels.clone().unwrap_or_default();
        let agents = by_node(self.agents);
        let mut selecting = self
            .configs
            .iter()
            // Without a selector, it applies to all nodes.
            .filter(|config| selects_by_default(&config.data["spec"]["nodeSelector"], &labels))
            .peekable();
        if selecting.peek().is_none() {
            return Verdict::Ready;
        }
        let session = match self.nodes.iter().find(|node| name(node) == name(member)) {
            None => Verdict::not_yet("no BGP configuration from the operator yet"),
            Some(node) => match agents.get(name(member)).filter(|agent| verdict(agent).is_ready()) {
                // The status is current only while the agent is running.
                None => Verdict::not_yet("waiting for its agent"),
                Some(agent) => selecting
                    .map(|config| self.sessions(&config.data["spec"], node, started(agent)))
                    .collect(),
            },
        };
        session.of(&node_ref(name(member)))
    }

    /// Every declared peer of a node, with the state that the node reports.
    fn sessions(&self, declared: &Value, node: &Object, agent_started: Option<Timestamp>) -> Verdict {
        let instances = declared["bgpInstances"].as_array().into_iter().flatten();
        let peers = instances.flat_map(|instance| {
            let given = named(&node.data["spec"]["bgpInstances"], instance);
            let live = named(&node.data["status"]["bgpInstances"], instance);
            instance["peers"].as_array().into_iter().flatten().map(move |peer| {
                let given = given.and_then(|given| named(&given["peers"], peer));
                (peer, given, live.and_then(|live| named(&live["peers"], peer)))
            })
        });
        peers
            .map(|(peer, given, live)| {
                let address = [given, Some(peer)]
                    .into_iter()
                    .flatten()
                    .map(|peer| text(&peer["peerAddress"]))
                    .find(|address| !address.is_empty());
                let verdict = match given {
                    None => Verdict::not_yet("peer not configured by the operator yet"),
                    Some(_) => self.session(peer, live, agent_started),
                };
                verdict.about(&address.unwrap_or_else(|| text(&peer["name"])))
            })
            .collect()
    }

    fn session(&self, peer: &Value, live: Option<&Value>, agent_started: Option<Timestamp>) -> Verdict {
        let session = Session::new(peer, live);
        let state = session.state();
        if !state.is_up() {
            return Verdict::not_yet(format!("session is {state}{}", hint_of(state)));
        }
        // The status of a dead agent is stale.
        if session.since().zip(agent_started).is_some_and(|(since, started)| since < started) {
            return Verdict::not_yet("the session status is older than its agent");
        }
        let config = self.peer_configs.iter().find(|config| peer["peerConfigRef"]["name"] == name(config));
        let families = config.and_then(|config| config.data["spec"]["families"].as_array());
        families.into_iter().flatten().map(|family| self.routes(family, session)).collect()
    }

    /// Routes are advertised if there is something to advertise. Whether a Service has an address is not
    /// known here; every node has a pod range.
    fn routes(&self, family: &Value, session: Session<'_>) -> Verdict {
        if family["advertisements"].is_null() {
            return Verdict::Ready;
        }
        let selected: Vec<_> = self
            .advertisements
            .iter()
            .filter(|one| {
                selects(&family["advertisements"], &one.metadata.labels.clone().unwrap_or_default())
            })
            .collect();
        if selected.is_empty() {
            return Verdict::not_yet(format!(
                "established, but no CiliumBGPAdvertisement has the labels that its peer config selects for {}",
                text(&family["afi"])
            ));
        }
        let mut types =
            selected.iter().filter_map(|one| one.data["spec"]["advertisements"].as_array()).flatten();
        let is_expected = types.any(|one| one["advertisementType"] == "PodCIDR");
        match session.advertised(&family["afi"]) {
            Some(0) | None if is_expected => Verdict::not_yet("established, but no route is advertised"),
            _ => Verdict::Ready,
        }
    }
}

/// The explanation of each state: a rejected session returns to `idle`, one without a connection stays
/// `active`.
fn hint_of(state: SessionState) -> &'static str {
    match state {
        SessionState::Connect | SessionState::Active => {
            ": no connection (router off, wrong password, or unknown node: `bootstrapper verify` shows which)"
        }
        SessionState::Idle | SessionState::OpenSent | SessionState::OpenConfirm => {
            ": it has just ended, or the router rejects it (wrong AS number: `bootstrapper verify` shows which)"
        }
        SessionState::Unknown | SessionState::Established => "",
    }
}

/// The list entry with the same name as `like`.
fn named<'a>(list: &'a Value, like: &Value) -> Option<&'a Value> {
    list.as_array()?.iter().find(|one| one["name"] == like["name"])
}

/// The start time of an agent's container.
fn started(agent: &Object) -> Option<Timestamp> {
    let statuses = agent.data["status"]["containerStatuses"].as_array()?;
    let agent = statuses.iter().find(|status| status["name"] == AGENT_CONTAINER)?;
    text(&agent["state"]["running"]["startedAt"]).parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(kind: &str, value: &Value) -> Arc<Object> {
        let mut object = json!({"apiVersion": "cilium.io/v2", "kind": kind});
        object.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        Arc::new(serde_json::from_value(object).unwrap())
    }

    struct Case {
        given: bool,
        state: &'static str,
        since: &'static str,
        advertised: i64,
        agent_is_ready: bool,
        told: &'static str,
        kind: &'static str,
    }

    const WELL: Case = Case {
        given: true,
        state: "established",
        since: "2026-01-01T00:01:00Z",
        advertised: 2,
        agent_is_ready: true,
        told: "yes",
        kind: "PodCIDR",
    };

    fn reasons(case: &Case) -> String {
        let peers =
            if case.given { json!([{"name": "router", "peerAddress": "10.25.11.1"}]) } else { json!([]) };
        let config = object(
            "CiliumBGPClusterConfig",
            &json!({"metadata": {"name": "bgp"}, "spec": {
            "nodeSelector": {"matchLabels": {"bgp": "yes"}},
            "bgpInstances": [{"name": "main", "peers": [{"name": "router", "peerAddress": "10.25.11.1", "peerConfigRef": {"name": "p"}}]}]}}),
        );
        let node = object(
            "CiliumBGPNodeConfig",
            &json!({"metadata": {"name": "n1"},
            "spec": {"bgpInstances": [{"name": "main", "peers": peers}]},
            "status": {"bgpInstances": [{"name": "main", "peers": [{"name": "router", "peeringState": case.state, "establishedTime": case.since,
                "routeCount": [{"afi": "ipv4", "safi": "unicast", "advertised": case.advertised}]}]}]}}),
        );
        let member = |name: &str, bgp: &str| {
            object("CiliumNode", &json!({"metadata": {"name": name, "labels": {"bgp": bgp}}}))
        };
        let ready = if case.agent_is_ready { "True" } else { "False" };
        let agent: Arc<Object> = Arc::new(
            serde_json::from_value(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "cilium-n1"}, "spec": {"nodeName": "n1"},
                "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}],
                    "containerStatuses": [{"name": "cilium-agent", "state": {"running": {"startedAt": "2026-01-01T00:00:30Z"}}}]}}))
            .unwrap(),
        );
        let peer_config = object(
            "CiliumBGPPeerConfig",
            &json!({"metadata": {"name": "p"}, "spec": {
            "families": [{"afi": "ipv4", "safi": "unicast", "advertisements": {"matchLabels": {"told": case.told}}}]}}),
        );
        let advertisement = object(
            "CiliumBGPAdvertisement",
            &json!({"metadata": {"name": "a", "labels": {"told": "yes"}},
            "spec": {"advertisements": [{"advertisementType": case.kind}]}}),
        );
        let bgp = Bgp {
            configs: &[config],
            nodes: &[node],
            members: &[member("n1", "yes"), member("n2", "no")],
            agents: &[agent],
            peer_configs: &[peer_config],
            advertisements: &[advertisement],
        };
        bgp.verdict().texts().join("; ")
    }

    #[test]
    fn what_a_session_needs() {
        let table = [
            (WELL, ""),
            (Case { state: "unknown", ..WELL }, "Node n1: 10.25.11.1: session is unknown"),
            (Case { agent_is_ready: false, ..WELL }, "Node n1: waiting for its agent"),
            (
                Case { since: "2026-01-01T00:00:10Z", ..WELL },
                "Node n1: 10.25.11.1: the session status is older than its agent",
            ),
            (Case { given: false, ..WELL }, "Node n1: 10.25.11.1: peer not configured by the operator yet"),
            (Case { advertised: 0, ..WELL }, "Node n1: 10.25.11.1: established, but no route is advertised"),
            // There may be no Service with an address.
            (Case { advertised: 0, kind: "Service", ..WELL }, ""),
            (
                Case { told: "no", ..WELL },
                "Node n1: 10.25.11.1: established, but no CiliumBGPAdvertisement has the labels that its peer config selects for ipv4",
            ),
        ];
        for (case, expected) in table {
            assert_eq!(reasons(&case), expected);
        }
    }

    #[test]
    fn without_a_configuration_there_is_no_bgp() {
        let none = Bgp {
            configs: &[],
            nodes: &[],
            members: &[],
            agents: &[],
            peer_configs: &[],
            advertisements: &[],
        };
        assert!(!none.verdict().is_ready());
    }
}
