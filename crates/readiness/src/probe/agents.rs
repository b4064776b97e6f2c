//! Whether Cilium runs on every node, and its CRDs are of its version.

use std::collections::BTreeMap;
use std::sync::Arc;

use semver::Version;

use super::super::Verdict;
use super::super::builtin::waiting;
use super::super::conditions::{number, text};
use super::super::rules::verdict;
use super::{by_node, name, node_ref};
use bootstrapper_core::object::{Object, ObjectRef};

/// The label with which the operator records the schema version of its CRDs
/// (`pkg/k8s/apis/cilium.io/client`).
pub(super) const SCHEMA_VERSION: &str = "io.cilium.k8s.crd.schema.version";

/// The schema version by minor version of Cilium 1.
const SCHEMA_MINORS: [(u64, u64); 4] = [(17, 30), (18, 31), (19, 32), (20, 33)];

/// After this many restarts a crash loop is permanent.
const HOPELESS_RESTARTS: i64 = 6;

/// The observed objects of Cilium.
pub(super) struct Agents<'a> {
    pub(super) nodes: &'a [Arc<Object>],
    pub(super) pods: &'a [Arc<Object>],
    pub(super) sets: &'a [Arc<Object>],
    pub(super) operators: &'a [Arc<Object>],
    pub(super) crds: &'a [Arc<Object>],
}

impl Agents<'_> {
    pub(super) fn verdict(&self) -> Verdict {
        let rolled_out = match self.sets {
            [] => Verdict::not_yet("DaemonSet cilium not found"),
            sets => sets.iter().map(|set| verdict(set).of(&ObjectRef::of(set))).collect(),
        };
        self.everywhere().and(rolled_out).and(operator(self.operators)).and(self.kinds())
    }

    /// On every node that the DaemonSet selects.
    fn everywhere(&self) -> Verdict {
        let agents = by_node(self.pods);
        let meant: Vec<&str> =
            self.nodes.iter().filter(|node| self.means(node)).map(|node| name(node)).collect();
        let is_up = |node: &&&str| agents.get(**node).is_some_and(|pod| verdict(pod).is_ready());
        let count = meant.iter().filter(is_up).count();
        if meant.is_empty() {
            return Verdict::not_yet("no node has joined");
        }
        if count == meant.len() {
            return Verdict::Ready;
        }
        let count = Verdict::not_yet(format!("{count} of {} nodes have an agent", meant.len()));
        let without = meant.iter().filter(|node| !is_up(node));
        let may_be_replaced = !self.sets.iter().all(|set| is_rolled_out(set));
        without
            .map(|node| absence(node, agents.get(node).copied(), may_be_replaced))
            .fold(count, Verdict::and)
    }

    fn means(&self, node: &Object) -> bool {
        let labels = node.metadata.labels.clone().unwrap_or_default();
        self.sets.iter().all(|set| {
            let wanted = set.data["spec"]["template"]["spec"]["nodeSelector"].as_object();
            wanted.into_iter().flatten().all(|(label, value)| {
                // A node that has not reported its operating system yet is included.
                labels.get(label).map_or(label == "kubernetes.io/os", |own| value == own)
            })
        })
    }

    /// After an upgrade, the CRDs of the new operator.
    fn kinds(&self) -> Verdict {
        let Some(wanted) = self.operators.iter().find_map(|operator| schema_of(operator)) else {
            return Verdict::Ready;
        };
        let is_older = |crd: &&Arc<Object>| schema(crd).is_some_and(|own| own < wanted);
        match self.crds.iter().find(is_older) {
            Some(crd) => Verdict::not_yet(format!(
                "CRD {} is from an older Cilium; cilium-operator has not updated it yet",
                name(crd)
            )),
            None => Verdict::Ready,
        }
    }
}

/// Whether every pod of a DaemonSet has the current template.
fn is_rolled_out(set: &Object) -> bool {
    let status = &set.data["status"];
    let is_seen = status["observedGeneration"].as_i64() >= set.metadata.generation;
    is_seen && number(&status["updatedNumberScheduled"]) >= number(&status["desiredNumberScheduled"])
}

/// Why a node has no working agent. An agent from an older template is not a permanent failure: the change
/// may have fixed it.
fn absence(node: &str, pod: Option<&Arc<Object>>, may_be_replaced: bool) -> Verdict {
    let Some(pod) = pod else {
        return Verdict::not_yet("no agent pod yet").of(&node_ref(node));
    };
    let statuses = pod.data["status"]["containerStatuses"].as_array();
    let is_hopeless = statuses.into_iter().flatten().any(|status| {
        status["restartCount"].as_i64() >= Some(HOPELESS_RESTARTS)
            && status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    });
    match waiting(pod) {
        Some(why) if is_hopeless && !may_be_replaced => Verdict::never(why).of(&node_ref(node)),
        Some(why) => Verdict::not_yet(why).of(&node_ref(node)),
        None => Verdict::not_yet("agent starting").of(&node_ref(node)),
    }
}

/// One available replica is enough; there may be no node for a second one.
fn operator(operators: &[Arc<Object>]) -> Verdict {
    let is_up =
        operators.iter().any(|operator| operator.data["status"]["availableReplicas"].as_i64() >= Some(1));
    if is_up { Verdict::Ready } else { Verdict::not_yet("cilium-operator is not running yet") }
}

/// The minimum schema version of the CRDs for an operator version.
fn schema_of(operator: &Object) -> Option<Version> {
    let image = text(&operator.data["spec"]["template"]["spec"]["containers"][0]["image"]);
    let (_, tag) = image.split('@').next()?.rsplit_once(':')?;
    let version = Version::parse(tag.trim_start_matches('v')).ok()?;
    let (_, minor) = SCHEMA_MINORS.iter().find(|(own, _)| version.major == 1 && version.minor == *own)?;
    Some(Version::new(1, *minor, 0))
}

fn schema(crd: &Object) -> Option<Version> {
    let labels: &BTreeMap<String, String> = crd.metadata.labels.as_ref()?;
    Version::parse(labels.get(SCHEMA_VERSION)?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(value: Value) -> Arc<Object> {
        Arc::new(serde_json::from_value(value).unwrap())
    }

    fn node(name: &str, labels: &Value) -> Arc<Object> {
        object(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}))
    }

    fn pod(node: &str, status: &Value) -> Arc<Object> {
        object(
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"nodeName": node}, "status": status}),
        )
    }

    fn told(nodes: &[Arc<Object>], pods: &[Arc<Object>], crd_version: &str) -> String {
        judged(nodes, pods, crd_version, 1).texts().join("; ")
    }

    fn judged(nodes: &[Arc<Object>], pods: &[Arc<Object>], crd_version: &str, updated: i64) -> Verdict {
        let set = object(
            json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "cilium", "generation": 1},
            "spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/os": "linux"}}}},
            "status": {"observedGeneration": 1, "desiredNumberScheduled": 1, "currentNumberScheduled": 1, "updatedNumberScheduled": updated, "numberAvailable": 1, "numberReady": 1}}),
        );
        let operator = object(
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "cilium-operator"},
            "spec": {"template": {"spec": {"containers": [{"image": "quay.io/cilium/operator-generic:v1.20.2@sha256:0"}]}}},
            "status": {"availableReplicas": 1}}),
        );
        let crd = object(json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "ciliumnodes.cilium.io", "labels": {SCHEMA_VERSION: crd_version}}}));
        let agents = Agents { nodes, pods, sets: &[set], operators: &[operator], crds: &[crd] };
        agents.verdict()
    }

    #[test]
    fn every_selected_node_needs_an_agent() {
        let ready = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
        let crashing = |restarts: i64| json!({"containerStatuses": [{"name": "agent", "restartCount": restarts, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]});
        let (one, two) = (node("n1", &json!({})), node("n2", &json!({})));
        let windows = node("w", &json!({"kubernetes.io/os": "windows"}));
        let up = pod("n1", &ready);
        assert_eq!(told(&[one.clone(), windows], std::slice::from_ref(&up), "1.33.1"), "");
        assert!(told(&[], &[], "1.33.1").contains("no node has joined"));
        let both = [one, two];
        let half = told(&both, std::slice::from_ref(&up), "1.33.1");
        assert!(half.contains("1 of 2 nodes have an agent; Node n2: no agent pod yet"), "{half}");
        let teething = told(&both, &[up.clone(), pod("n2", &crashing(2))], "1.33.1");
        assert!(teething.contains("1 of 2") && teething.contains("CrashLoopBackOff"), "{teething}");
        let pods = [up, pod("n2", &crashing(6))];
        let hopeless = judged(&both, &pods, "1.33.1", 1);
        assert_eq!(hopeless, Verdict::never("agent: CrashLoopBackOff after restarts").of(&node_ref("n2")));
        // An upgrade that fixes it has not reached that node yet.
        let is_being_mended = judged(&both, &pods, "1.33.1", 0);
        assert!(matches!(is_being_mended, Verdict::NotYet(_)), "{is_being_mended:?}");
    }

    #[test]
    fn kinds_of_an_older_release_are_not_those_of_the_new() {
        let up = pod("n1", &json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}));
        let with = |version: &str| told(&[node("n1", &json!({}))], std::slice::from_ref(&up), version);
        assert_eq!((with("1.33.1"), with("1.34.0")), (String::new(), String::new()));
        assert!(with("1.32.5").contains("ciliumnodes.cilium.io is from an older Cilium"));
    }
}
