//! Checks whether the nodes' BGP sessions are established, and why not: who answers on the node's network, and
//! how the session ends.

use std::collections::BTreeMap;
use std::time::Duration;

use backon::{ConstantBuilder, Retryable as _};
use futures::future::join_all;
use futures::stream::{self, StreamExt as _};

use super::agents::Agents;
use super::{Member, Outcome};
use bootstrapper_cluster::Cluster;
use bootstrapper_cluster::cilium;
use bootstrapper_cluster::cilium::AGENT_CONTAINER;
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_diagnosis as diagnosis;
use bootstrapper_diagnosis::Ended;
use bootstrapper_readiness as readiness;
use bootstrapper_readiness::cilium::SessionState;

/// How many agents are queried concurrently.
const AT_ONCE: usize = 16;

/// The nodes that should have a session with a router, and its state.
type Sessions = BTreeMap<String, Vec<(String, SessionState)>>;

/// One outcome for each router.
pub(super) async fn sessions(member: &Member, agents: &Agents) -> Result<Vec<Outcome>> {
    let cluster = &member.cluster;
    let configs = cluster.list(&Selection::of("cilium.io/v2", "CiliumBGPNodeConfig")).await?;
    let told = configs.into_iter().map(async |config| recheck_with_agent(cluster, agents, config).await);
    let (configs, up): (Vec<Object>, Vec<Vec<String>>) = stream::iter(told).buffered(AT_ONCE).unzip().await;
    let up = up.concat();
    let outcomes = by_router(&configs).into_iter().map(async |(router, nodes)| {
        let down: Vec<&(String, SessionState)> = nodes.iter().filter(|one| is_down(agents, one)).collect();
        let problem = match down.first() {
            Some((node, state)) => Some(problem(cluster, agents, node, &router, *state).await),
            None => None,
        };
        Outcome {
            cluster: member.name.clone(),
            check: "BGP sessions",
            from: format!("{} nodes", nodes.len()),
            problem: problem.map(|first| and_more(first, down.len())),
            remark: up.first().map(|first| and_more(first.clone(), up.len())),
            to: router,
            milliseconds: None,
        }
    });
    Ok(join_all(outcomes).await)
}

fn and_more(first: String, count: usize) -> String {
    if count > 1 { format!("{first} (and {} more)", count - 1) } else { first }
}

/// A node's config; if it reports a session down, what its agent reports, if that answers.
async fn recheck_with_agent(cluster: &Cluster, agents: &Agents, config: Object) -> (Object, Vec<String>) {
    let node = config.metadata.name.clone().unwrap_or_default();
    let agent = agents.on(&node).filter(|_| agents.silence(&node).is_none());
    let Some(agent) = agent.filter(|_| !readiness::cilium::sessions_down(&config).is_empty()) else {
        return (config, Vec::new());
    };
    let Ok(peers) = cilium::sessions_of(cluster, &agent).await else {
        return (config, Vec::new());
    };
    let (config, up) = readiness::cilium::as_reported_by_agent(&config, &peers);
    (config, up.into_iter().map(|up| format!("{node}: {up}")).collect())
}

fn by_router(configs: &[Object]) -> Sessions {
    let mut sessions = Sessions::new();
    for config in configs {
        let node = config.metadata.name.clone().unwrap_or_default();
        for session in readiness::cilium::sessions(config) {
            let of_router = sessions.entry(session.address().to_owned()).or_default();
            of_router.push((node.clone(), session.state()));
        }
    }
    sessions
}

fn is_down(agents: &Agents, (node, state): &(String, SessionState)) -> bool {
    !state.is_up() || agents.silence(node).is_some() || agents.on(node).is_none()
}

/// Why a node has no session.
async fn problem(
    cluster: &Cluster,
    agents: &Agents,
    node: &str,
    router: &str,
    state: SessionState,
) -> String {
    if let Some(seconds) = agents.silence(node) {
        return format!("{node}: no heartbeat for {seconds}s; its last status may be stale");
    }
    let Some(agent) = agents.on(node) else {
        return format!("{node}: its agent is not ready; its last session status may be stale");
    };
    let look = async || match look(cluster, &agent, router).await {
        Ok(found @ (Found::Present | Found::Beyond)) => Err(found),
        found => Ok(found),
    };
    match look.retry(UNTIL_CALLED_ANEW).await {
        Ok(Ok(found)) | Err(found) => format!("{node}: {}", cause(state, found)),
        Ok(Err(failure)) => format!("{node}: session is {state}; {failure}"),
    }
}

/// The agent reconnects to a router that rejected it within this many seconds, and logs it; with a wrong
/// password it never connects.
const UNTIL_CALLED_ANEW: ConstantBuilder =
    ConstantBuilder::new().with_delay(Duration::from_secs(1)).with_max_times(15);

/// What a node reports about a router without a session.
#[derive(Debug, Clone, Copy)]
enum Found {
    /// It does not answer on the node's own network.
    Nobody,
    /// It closed the session, or rejects new ones.
    Ended(Ended),
    /// It is on the node's own network, and accepts no connections.
    Present,
    /// It is on none of the node's networks; nothing more is known.
    Beyond,
}

async fn look(cluster: &Cluster, agent: &ObjectRef, router: &str) -> Result<Found> {
    let command = ["ip", "neigh", "show", router];
    let told = cilium::ask_agent(cluster, agent, &command).await?;
    let neighbour = neighbour(&told.stdout);
    if matches!(neighbour, Found::Nobody) {
        return Ok(neighbour);
    }
    let namespace = agent.namespace.as_deref().unwrap_or_default();
    let log = cluster.pod_logs(namespace, &agent.name, AGENT_CONTAINER, false, LOG_LINES).await?;
    Ok(diagnosis::ended(&log, router).map_or(neighbour, Found::Ended))
}

/// Enough of an agent's log for its last messages about a router.
const LOG_LINES: i64 = 200;

fn neighbour(told: &str) -> Found {
    match told.split_whitespace().last() {
        None => Found::Beyond,
        Some("FAILED" | "INCOMPLETE") => Found::Nobody,
        Some(_) => Found::Present,
    }
}

fn cause(state: SessionState, found: Found) -> String {
    match (found, state) {
        (Found::Nobody, _) => {
            "no answer from the router's address: it is off, unplugged, or has another address".to_owned()
        }
        (Found::Ended(Ended::Refused), _) => {
            "the router accepts the connection and rejects the session, as it does if it expects another AS number".to_owned()
        }
        (Found::Ended(Ended::Silently), _) => {
            "the router stopped answering: it is off, unplugged, or back with another address or password".to_owned()
        }
        (Found::Present, state) if state.has_no_connection() => {
            "the router is reachable and accepts no connection: wrong password, or it does not know this node"
                .to_owned()
        }
        (Found::Beyond, state) if state.has_no_connection() => {
            "no connection: no route, a firewall, a wrong password, or a router that does not know this node"
                .to_owned()
        }
        (_, state) => format!("the session is {state}, and the agent gives no reason"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_cause_follows_from_who_answers_and_how_the_session_ends() {
        let there = "10.25.11.1 dev eth0 lladdr 5e:00 STALE";
        let cases = [
            (SessionState::Active, neighbour("10.25.11.1 dev eth0 FAILED"), "no answer from"),
            (SessionState::Idle, neighbour("10.25.11.1 dev eth0 INCOMPLETE"), "no answer from"),
            (SessionState::Active, neighbour(there), "wrong password"),
            (SessionState::Active, neighbour(""), "no route"),
            (SessionState::OpenConfirm, neighbour(there), "the session is open_confirm"),
            (SessionState::Active, Found::Ended(Ended::Refused), "another AS number"),
            (SessionState::Idle, Found::Ended(Ended::Silently), "stopped answering"),
        ];
        for (state, found, told) in cases {
            let cause = cause(state, found);
            assert!(cause.contains(told), "{state} {found:?}: {cause}");
        }
    }

    #[test]
    fn a_session_without_a_status_is_unknown() {
        let config = |status: Value| -> Object {
            serde_json::from_value(json!({
                "apiVersion": "cilium.io/v2", "kind": "CiliumBGPNodeConfig", "metadata": {"name": "n"},
                "spec": {"bgpInstances": [{"peers": [{"name": "router", "peerAddress": "10.0.0.1"}]}]},
                "status": status,
            }))
            .unwrap()
        };
        let up = json!({"bgpInstances": [{"peers": [{"name": "router", "peeringState": "established"}]}]});
        let sessions = by_router(&[config(json!({})), config(up)]);
        let states: Vec<&str> = sessions["10.0.0.1"].iter().map(|(_, state)| state.as_str()).collect();
        assert_eq!(states, ["unknown", "established"]);
    }
}
