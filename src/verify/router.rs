//! Whether the nodes' BGP sessions are up, and where one is not, what the node finds: who answers on
//! its network, and how the session ends.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use futures::stream::{self, StreamExt as _};
use serde_json::Value;

use super::agents::{self, Agents};
use super::{Member, Outcome};
use crate::cluster::Cluster;
use crate::failure::Result;
use crate::object::{Object, Selection};
use crate::readiness;

/// How many agents are asked at once, and how long one may take.
const AT_ONCE: usize = 16;
const LIMIT: Duration = Duration::from_secs(5);

/// The nodes that are to have a session with a router, and its state.
type Sessions = BTreeMap<String, Vec<(String, String)>>;

/// One answer for each router.
pub(super) async fn sessions(member: &Member, agents: &Agents) -> Result<Vec<Outcome>> {
    let cluster = &member.cluster;
    let configs = cluster.list(&Selection::of("cilium.io/v2", "CiliumBGPNodeConfig")).await?;
    let told = configs.into_iter().map(async |config| as_its_agent_tells(cluster, agents, config).await);
    let (configs, up): (Vec<Object>, Vec<Vec<String>>) = stream::iter(told).buffered(AT_ONCE).unzip().await;
    let up = up.concat();
    let outcomes = by_router(&configs).into_iter().map(async |(router, nodes)| {
        let to = &router;
        let found = join_all(nodes.iter().map(|(node, state)| problem(cluster, agents, node, to, state)));
        let problems: Vec<String> = found.await.into_iter().flatten().collect();
        Outcome {
            cluster: member.name.clone(),
            check: "BGP sessions",
            from: format!("{} nodes", nodes.len()),
            problem: first_of(&problems),
            remark: first_of(&up),
            to: router,
            milliseconds: None,
        }
    });
    Ok(join_all(outcomes).await)
}

fn first_of(all: &[String]) -> Option<String> {
    let several = if all.len() > 1 { format!(" (and {} more)", all.len() - 1) } else { String::new() };
    all.first().map(|first| format!("{first}{several}"))
}

/// What a node's config says; where it calls a session down, what its agent says, if that answers.
async fn as_its_agent_tells(cluster: &Cluster, agents: &Agents, config: Object) -> (Object, Vec<String>) {
    let node = config.metadata.name.clone().unwrap_or_default();
    let agent = agents.on(&node).filter(|_| agents.silence(&node).is_none());
    let Some(agent) = agent.filter(|_| !readiness::sessions_down(&config).is_empty()) else {
        return (config, Vec::new());
    };
    let asked = cluster.exec(&agent, agents::CONTAINER, &readiness::PEERS_OF_AGENT);
    let answer = tokio::time::timeout(LIMIT, asked).await.ok().and_then(Result::ok);
    let Some(peers) = answer.and_then(|answer| serde_json::from_str(&answer.stdout).ok()) else {
        return (config, Vec::new());
    };
    let (config, up) = readiness::as_agent_tells(&config, &peers);
    (config, up.into_iter().map(|up| format!("{node}: {up}")).collect())
}

fn by_router(configs: &[Object]) -> Sessions {
    let mut sessions = Sessions::new();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for config in configs {
        let node = config.metadata.name.clone().unwrap_or_default();
        let peers = |side: &str| {
            let instances = config.data[side]["bgpInstances"].as_array().into_iter().flatten();
            instances.flat_map(|instance| instance["peers"].as_array().into_iter().flatten()).cloned()
        };
        for peer in peers("spec") {
            let live = peers("status").find(|live| live["name"] == peer["name"]);
            let state = live.map_or("unknown".to_owned(), |live| text(&live["peeringState"]));
            sessions.entry(text(&peer["peerAddress"])).or_default().push((node.clone(), state));
        }
    }
    sessions
}

/// Why a node has no session, if it has none.
async fn problem(
    cluster: &Cluster,
    agents: &Agents,
    node: &str,
    router: &str,
    state: &str,
) -> Option<String> {
    if let Some(seconds) = agents.silence(node) {
        return Some(format!("{node}: not heard of for {seconds}s; what it last told may be old"));
    }
    let Some(agent) = agents.on(node) else {
        return Some(format!("{node}: its agent is not well; what it last told of the session may be old"));
    };
    if state == "established" {
        return None;
    }
    let neighbour = ["ip", "neigh", "show", router];
    let is_there = match cluster.exec(&agent, agents::CONTAINER, &neighbour).await {
        Ok(told) => answers(&told.stdout),
        Err(failure) => return Some(format!("{node}: session is {state}; {failure}")),
    };
    Some(format!("{node}: {}", cause(state, is_there)))
}

/// Whether a neighbour has answered on the node's own network; not known of one beyond it.
fn answers(neighbours: &str) -> Option<bool> {
    let state = neighbours.split_whitespace().last()?;
    Some(!matches!(state, "FAILED" | "INCOMPLETE"))
}

fn cause(state: &str, is_there: Option<bool>) -> String {
    match (state, is_there) {
        (_, Some(false)) => {
            "nobody answers at the router's address: it is off, unplugged, or has another address".to_owned()
        }
        ("active" | "connect", Some(true)) => {
            "the router is there and takes no connection: the password is another, or it does not know this node"
                .to_owned()
        }
        ("idle" | "open_sent" | "open_confirm", _) => {
            format!("the session is {state}: the router refuses it, as it expects another AS number, or it has just ended")
        }
        (state, _) => format!("session is {state}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cause_follows_from_who_answers_and_how_the_session_ends() {
        let cases = [
            ("active", "10.25.11.1 dev eth0 FAILED", "nobody answers"),
            ("idle", "10.25.11.1 dev eth0 INCOMPLETE", "nobody answers"),
            ("active", "10.25.11.1 dev eth0 lladdr 5e:00 REACHABLE", "the password is another"),
            ("idle", "10.25.11.1 dev eth0 lladdr 5e:00 STALE", "another AS number"),
            ("active", "", "session is active"),
        ];
        for (state, neighbours, told) in cases {
            let cause = cause(state, answers(neighbours));
            assert!(cause.contains(told), "{state} {neighbours}: {cause}");
        }
    }

    #[test]
    fn a_session_that_nobody_tells_of_is_unknown() {
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
