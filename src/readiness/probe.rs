//! Probes: facts of a cluster that no single object tells.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use super::Verdict;
use super::builtin::{has_address, waiting};
use super::conditions::{condition, text};
use super::rules::verdict;
use crate::object::{Object, Selection};

/// How long the operator may take to accept the GatewayClass before it is worth a remark.
const PATIENCE_SECONDS: i64 = 60;

/// Restarts after which a crash loop is no teething trouble.
const HOPELESS_RESTARTS: i64 = 6;

/// A fact of a cluster, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// A Cilium agent runs on every node, and the operator.
    CiliumAgents,
    /// Every BGP session that is declared is established, and routes go out.
    CiliumBgp,
    /// The operator has accepted Cilium's GatewayClass.
    CiliumGateway,
    /// The ClusterMesh API server runs and has an address.
    CiliumClustermesh,
    /// Every node is ready and takes pods.
    Nodes,
    /// Flux's controllers run.
    FluxControllers,
}

const ALL: [(Probe, &str); 6] = [
    (Probe::CiliumAgents, "cilium.agents"),
    (Probe::CiliumBgp, "cilium.bgp"),
    (Probe::CiliumGateway, "cilium.gateway"),
    (Probe::CiliumClustermesh, "cilium.clustermesh"),
    (Probe::Nodes, "nodes"),
    (Probe::FluxControllers, "flux.controllers"),
];

/// Objects by the index of the selection that found them.
type Seen = BTreeMap<usize, Vec<Arc<Object>>>;

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ALL.iter().find(|(probe, _)| probe == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

impl<'de> Deserialize<'de> for Probe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<'de, str>::deserialize(deserializer)?;
        ALL.iter().find(|(_, known)| *known == name).map(|(probe, _)| *probe).ok_or_else(|| {
            let names = ALL.map(|(_, name)| name).join(", ");
            de::Error::custom(format!("there is no probe `{name}`; there are {names}"))
        })
    }
}

impl JsonSchema for Probe {
    fn schema_name() -> Cow<'static, str> {
        "Probe".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"description": "A fact of a cluster, by name.", "enum": ALL.map(|(_, name)| name)})
    }
}

impl Probe {
    /// What it has to see; [`Probe::judge`] is given it by index.
    pub fn watches(&self) -> Vec<Selection> {
        let agents = Selection::of("v1", "Pod").within("kube-system").labelled("k8s-app=cilium");
        let nodes = Selection::of("v1", "Node");
        match self {
            Self::CiliumAgents => vec![
                nodes,
                agents,
                Selection::of("apps/v1", "DaemonSet").within("kube-system").labelled("k8s-app=cilium"),
                Selection::of("apps/v1", "Deployment")
                    .within("kube-system")
                    .labelled("io.cilium/app=operator"),
            ],
            Self::CiliumBgp => vec![
                Selection::of("cilium.io/v2", "CiliumBGPClusterConfig"),
                Selection::of("cilium.io/v2", "CiliumBGPNodeConfig"),
                Selection::of("cilium.io/v2", "CiliumNode"),
                agents,
            ],
            Self::CiliumGateway => vec![Selection::of("gateway.networking.k8s.io/v1", "GatewayClass")],
            Self::CiliumClustermesh => vec![
                Selection::of("apps/v1", "Deployment")
                    .within("kube-system")
                    .labelled("k8s-app=clustermesh-apiserver"),
                Selection::of("v1", "Service")
                    .within("kube-system")
                    .labelled("k8s-app=clustermesh-apiserver"),
            ],
            Self::Nodes => vec![nodes],
            Self::FluxControllers => {
                vec![
                    Selection::of("apps/v1", "Deployment")
                        .within("flux-system")
                        .labelled("app.kubernetes.io/part-of=flux"),
                ]
            }
        }
    }

    /// Judges what was seen, at the time `now`.
    pub fn judge(&self, seen: &Seen, now: Timestamp) -> Verdict {
        let of = |index: usize| seen.get(&index).map_or(&[][..], Vec::as_slice);
        match self {
            Self::CiliumAgents => agents(of(0), of(1), of(2), of(3)),
            Self::CiliumBgp => bgp(of(0), of(1), of(2), of(3)),
            Self::CiliumGateway => gateway(of(0), now),
            Self::CiliumClustermesh => clustermesh(of(0), of(1)),
            Self::Nodes => nodes(of(0)),
            Self::FluxControllers => controllers(of(0)),
        }
    }
}

fn name(object: &Object) -> &str {
    object.metadata.name.as_deref().unwrap_or_default()
}

fn node_of(pod: &Object) -> &str {
    text(&pod.data["spec"]["nodeName"])
}

fn nodes_with_agent(agents: &[Arc<Object>]) -> BTreeSet<&str> {
    agents.iter().filter(|pod| verdict(pod).is_ready()).map(|pod| node_of(pod)).collect()
}

fn agents(
    nodes: &[Arc<Object>],
    agents: &[Arc<Object>],
    sets: &[Arc<Object>],
    operators: &[Arc<Object>],
) -> Verdict {
    let with_agent = nodes_with_agent(agents);
    let without: Vec<&str> =
        nodes.iter().map(|node| name(node)).filter(|node| !with_agent.contains(node)).collect();
    let everywhere = if nodes.is_empty() {
        Verdict::not_yet("no node has joined")
    } else if without.is_empty() {
        Verdict::Ready
    } else {
        let count = format!("{} of {} nodes have an agent", with_agent.len(), nodes.len());
        without.iter().map(|node| absence(node, agents)).fold(Verdict::not_yet(count), Verdict::and)
    };
    let rolled_out = match sets {
        [] => Verdict::not_yet("DaemonSet cilium is not there"),
        sets => sets.iter().map(|set| verdict(set).about(&"DaemonSet cilium")).collect(),
    };
    everywhere.and(rolled_out).and(operator(operators))
}

/// Why a node has no agent.
fn absence(node: &str, agents: &[Arc<Object>]) -> Verdict {
    let Some(pod) = agents.iter().find(|pod| node_of(pod) == node) else {
        return Verdict::not_yet("no agent pod yet").about(&node);
    };
    let statuses = pod.data["status"]["containerStatuses"].as_array();
    let is_hopeless = statuses.into_iter().flatten().any(|status| {
        status["restartCount"].as_i64() >= Some(HOPELESS_RESTARTS)
            && status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    });
    match waiting(pod) {
        Some(why) if is_hopeless => Verdict::never(why).about(&node),
        Some(why) => Verdict::not_yet(why).about(&node),
        None => Verdict::not_yet("agent starts").about(&node),
    }
}

/// One available replica does the work; a second may have no node to be on.
fn operator(operators: &[Arc<Object>]) -> Verdict {
    let is_up =
        operators.iter().any(|operator| operator.data["status"]["availableReplicas"].as_i64() >= Some(1));
    if is_up { Verdict::Ready } else { Verdict::not_yet("cilium-operator does not run yet") }
}

fn bgp(
    configs: &[Arc<Object>],
    nodes: &[Arc<Object>],
    members: &[Arc<Object>],
    agents: &[Arc<Object>],
) -> Verdict {
    if configs.is_empty() {
        return Verdict::not_yet("there is no CiliumBGPClusterConfig");
    }
    let with_agent = nodes_with_agent(agents);
    let accepted: Verdict = configs.iter().map(|config| verdict(config).about(&name(config))).collect();
    let selected = members
        .iter()
        .filter(|member| configs.iter().any(|config| selects(&config.data["spec"]["nodeSelector"], member)));
    let sessions: Verdict = selected
        .map(|member| match nodes.iter().find(|node| name(node) == name(member)) {
            None => {
                Verdict::not_yet("the operator has given it no BGP configuration yet").about(&name(member))
            }
            // Only a living agent keeps the status true.
            Some(_) if !with_agent.contains(name(member)) => {
                Verdict::not_yet("waits for its agent").about(&name(member))
            }
            Some(node) => established(node).about(&name(member)),
        })
        .collect();
    let nobody = if nodes.is_empty() {
        Verdict::not_yet("no node has a BGP configuration yet")
    } else {
        Verdict::Ready
    };
    accepted.and(nobody).and(sessions)
}

/// A label selector over an object's labels.
fn selects(selector: &Value, object: &Object) -> bool {
    let labels = object.metadata.labels.clone().unwrap_or_default();
    let mut equal = selector["matchLabels"].as_object().into_iter().flatten();
    let mut expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    equal.all(|(key, value)| labels.get(key).map(String::as_str) == value.as_str())
        && expressions.all(|expression| {
            let value = labels.get(text(&expression["key"])).map(String::as_str);
            let is_in = expression["values"]
                .as_array()
                .is_some_and(|values| values.iter().any(|one| one.as_str() == value));
            match text(&expression["operator"]) {
                "In" => value.is_some() && is_in,
                "NotIn" => value.is_none() || !is_in,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

/// Every peer that a node should have is established, and is told of something.
fn established(node: &Object) -> Verdict {
    let wanted = node.data["spec"]["bgpInstances"].as_array();
    let found = node.data["status"]["bgpInstances"].as_array();
    let peers = wanted.into_iter().flatten().flat_map(|instance| {
        let same = found.into_iter().flatten().find(|other| other["name"] == instance["name"]);
        instance["peers"].as_array().into_iter().flatten().map(move |peer| {
            let live = same.and_then(|same| {
                same["peers"].as_array()?.iter().find(|other| other["name"] == peer["name"])
            });
            (peer, live)
        })
    });
    peers
        .map(|(peer, live)| {
            let state = live.map_or("unknown", |live| live["peeringState"].as_str().unwrap_or("unknown"));
            let counts = live.and_then(|live| live["routeCount"].as_array());
            let is_silent = counts.is_some_and(|counts| counts.iter().all(|count| count["advertised"] == 0));
            match state {
                "established" if is_silent => Verdict::not_yet("established, but no route is advertised"),
                "established" => Verdict::Ready,
                state => Verdict::not_yet(format!("session is {state}")),
            }
            .about(&text(&peer["peerAddress"]))
        })
        .collect()
}

fn gateway(classes: &[Arc<Object>], now: Timestamp) -> Verdict {
    let own: Vec<_> = classes
        .iter()
        .filter(|class| class.data["spec"]["controllerName"] == "io.cilium/gateway-controller")
        .collect();
    if own.is_empty() {
        return Verdict::not_yet("there is no GatewayClass of Cilium");
    }
    own.iter().map(|class| accepted(class, now).about(&format!("GatewayClass {}", name(class)))).collect()
}

/// The operator looks for the Gateway API CRDs once, as it starts (`operator/pkg/gateway-api`): a
/// class that it leaves unanswered for long came with CRDs that were too late.
fn accepted(class: &Object, now: Timestamp) -> Verdict {
    let is_answered =
        condition(class, "Accepted").is_some_and(|accepted| accepted.is_true() || accepted.is_false());
    let age = class
        .metadata
        .creation_timestamp
        .as_ref()
        .map_or(0, |created| now.as_second() - created.0.as_second());
    if is_answered || age < PATIENCE_SECONDS {
        return verdict(class);
    }
    Verdict::not_yet(format!(
        "cilium-operator has not answered for {age}s: it may have started before the Gateway API CRDs; `kubectl -n kube-system rollout restart deployment/cilium-operator`"
    ))
}

fn clustermesh(deployments: &[Arc<Object>], services: &[Arc<Object>]) -> Verdict {
    let runs = match deployments {
        [] => Verdict::not_yet("Deployment clustermesh-apiserver is not there"),
        all => all.iter().map(|one| verdict(one).about(&"clustermesh-apiserver")).collect(),
    };
    let is_reachable =
        |service: &&Arc<Object>| service.data["spec"]["type"] != "LoadBalancer" || has_address(service);
    let has_no_address = services.iter().find(|service| !is_reachable(service));
    runs.and(match has_no_address {
        Some(service) => verdict(service).about(&format!("Service {}", name(service))),
        None => Verdict::Ready,
    })
}

fn nodes(nodes: &[Arc<Object>]) -> Verdict {
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
            verdict(node).and(taken).about(&name(node))
        })
        .collect()
}

fn controllers(deployments: &[Arc<Object>]) -> Verdict {
    ["source-controller", "kustomize-controller", "helm-controller"]
        .into_iter()
        .map(|needed| match deployments.iter().find(|deployment| name(deployment) == needed) {
            Some(deployment) => verdict(deployment).about(&needed),
            None => Verdict::not_yet("is not there").about(&needed),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Arc<Object> {
        Arc::new(serde_json::from_value(value).unwrap())
    }

    fn pod(node: &str, ready: bool) -> Arc<Object> {
        object(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("cilium-{node}")},
            "spec": {"nodeName": node},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": if ready {"True"} else {"False"}}]}}))
    }

    fn node_config(node: &str, state: &str, advertised: i64) -> Arc<Object> {
        object(
            json!({"apiVersion": "cilium.io/v2", "kind": "CiliumBGPNodeConfig", "metadata": {"name": node},
            "spec": {"bgpInstances": [{"name": "main", "peers": [{"name": "router", "peerAddress": "10.25.11.1"}]}]},
            "status": {"bgpInstances": [{"name": "main", "peers": [{"name": "router", "peeringState": state,
                "routeCount": [{"afi": "ipv4", "safi": "unicast", "advertised": advertised}]}]}]}}),
        )
    }

    fn member(node: &str) -> Arc<Object> {
        object(
            json!({"apiVersion": "cilium.io/v2", "kind": "CiliumNode", "metadata": {"name": node, "labels": {"bgp": "yes"}}}),
        )
    }

    fn cluster_config() -> Arc<Object> {
        object(
            json!({"apiVersion": "cilium.io/v2", "kind": "CiliumBGPClusterConfig", "metadata": {"name": "bgp"},
            "spec": {"nodeSelector": {"matchLabels": {"bgp": "yes"}}}}),
        )
    }

    fn told(verdict: &Verdict) -> String {
        verdict.reasons().join("; ")
    }

    #[test]
    fn bgp_needs_sessions_routes_and_living_agents() {
        let judge = |state: &str, advertised: i64, agent_ready: bool| {
            bgp(
                &[cluster_config()],
                &[node_config("n1", state, advertised)],
                &[member("n1")],
                &[pod("n1", agent_ready)],
            )
        };
        assert!(judge("established", 2, true).is_ready());
        assert!(told(&judge("active", 0, true)).contains("n1: 10.25.11.1: session is active"));
        assert!(told(&judge("established", 0, true)).contains("no route is advertised"));
        assert!(told(&judge("established", 2, false)).contains("waits for its agent"));
        let without = bgp(&[cluster_config()], &[], &[member("n1")], &[pod("n1", true)]);
        assert!(told(&without).contains("no BGP configuration yet"));
        assert!(!bgp(&[], &[], &[], &[]).is_ready());
    }

    #[test]
    fn every_node_needs_an_agent() {
        let node =
            |name: &str| object(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}));
        let set = object(
            json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "cilium", "generation": 1},
            "status": {"observedGeneration": 1, "desiredNumberScheduled": 1, "currentNumberScheduled": 1, "updatedNumberScheduled": 1, "numberAvailable": 1, "numberReady": 1}}),
        );
        let operator = object(
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "cilium-operator"},
            "status": {"availableReplicas": 1}}),
        );
        let up = agents(
            &[node("n1")],
            &[pod("n1", true)],
            std::slice::from_ref(&set),
            std::slice::from_ref(&operator),
        );
        assert!(up.is_ready(), "{up:?}");
        let half = agents(
            &[node("n1"), node("n2")],
            &[pod("n1", true)],
            std::slice::from_ref(&set),
            std::slice::from_ref(&operator),
        );
        assert!(told(&half).contains("1 of 2 nodes have an agent; n2: no agent pod yet"));
        assert!(!agents(&[], &[], &[set], &[operator]).is_ready());
    }

    #[test]
    fn a_class_that_stays_unanswered_is_remarked_on() {
        let class = object(json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
            "metadata": {"name": "cilium", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"controllerName": "io.cilium/gateway-controller"}}));
        let at = |text: &str| gateway(std::slice::from_ref(&class), text.parse().unwrap());
        assert!(told(&at("2026-01-01T00:00:30Z")).contains("Accepted is not known yet"));
        assert!(told(&at("2026-01-01T00:02:00Z")).contains("rollout restart"));
    }

    #[test]
    fn taints_keep_nodes_from_being_ready() {
        let node = |taints: Value| {
            object(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"},
            "spec": {"taints": taints}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}))
        };
        assert!(nodes(&[node(json!([{"key": "node-role.kubernetes.io/control-plane"}]))]).is_ready());
        assert!(!nodes(&[node(json!([{"key": "node.cilium.io/agent-not-ready"}]))]).is_ready());
    }
}
