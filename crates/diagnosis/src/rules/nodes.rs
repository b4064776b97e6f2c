//! Nodes: not ready, under pressure, cordoned.

use super::cilium;
use super::facts::{label, line, list};
use crate::finding::{Code, Finding, Insight};
use crate::scene::Inquiry;
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_readiness::{self as readiness, Condition, condition};

pub(super) const CODES: &[&Code] = &[&NO_NETWORK, &SILENT, &PRESSURE, &CLOSED, &NOT_READY, &NEW, &NO_CLOUD];

static NO_NETWORK: Code = Code {
    code: "BS-NOD-001",
    title: "A node has no network plugin",
    why: "The network plugin's agent has not started on it yet, so only pods on the host network can start",
    tell: "The node's condition Ready says `cni plugin not initialized` or `NetworkPluginNotReady`",
    fix: "install the network plugin (stage `cilium`), and check that its agent can run on this node",
};

static SILENT: Code = Code {
    code: "BS-NOD-002",
    title: "A node has stopped reporting",
    why: "Its kubelet is down, the machine is off, or it cannot reach the API server",
    tell: "It no longer renews its Lease in kube-node-lease; after 50 s the condition Ready is Unknown with `Kubelet stopped posting node status`",
    fix: "check the machine: power, kubelet, connection to the API server, clock, certificates",
};

static PRESSURE: Code = Code {
    code: "BS-NOD-003",
    title: "A node is low on memory, disk or process IDs",
    why: "Processes on the machine use nearly all of it; the kubelet evicts pods and rejects new ones",
    tell: "MemoryPressure, DiskPressure or PIDPressure is True",
    fix: "free the resource on that machine: logs, images, or a process that grows",
};

static CLOSED: Code = Code {
    code: "BS-NOD-004",
    title: "A node is cordoned",
    why: "`kubectl cordon` or `kubectl drain` was run, and `kubectl uncordon` was not",
    tell: "`spec.unschedulable` is true",
    fix: "kubectl uncordon <node>, when its maintenance is finished",
};

static NOT_READY: Code = Code {
    code: "BS-NOD-005",
    title: "A node is not ready",
    why: "Its kubelet reports that a component does not work, such as the container runtime",
    tell: "The condition Ready is False; the finding quotes the kubelet's message",
    fix: "read the kubelet's log on that machine",
};

static NEW: Code = Code {
    code: "BS-NOD-006",
    title: "A node has just joined",
    why: "Its network agent is still starting",
    tell: "The node is younger than a minute, or became unready less than a minute ago",
    fix: "wait; no action needed",
};

static NO_CLOUD: Code = Code {
    code: "BS-NOD-007",
    title: "A node is waiting for its cloud controller",
    why: "Its kubelet runs with `--cloud-provider=external`, and no cloud-controller-manager has initialized it",
    tell: "The node has the taint `node.cloudprovider.kubernetes.io/uninitialized`",
    fix: "install the cloud-controller-manager, or start the kubelet without that flag",
};

/// How many seconds a node may take to get its network.
const JOINING: i64 = 60;

/// The taint that Cilium's operator removes when the agent runs.
const AGENT_NOT_READY: &str = "node.cilium.io/agent-not-ready";
/// The taint that the node controller sets by the condition Ready.
const KUBELET_NOT_READY: &str = "node.kubernetes.io/not-ready";
const UNINITIALIZED: &str = "node.cloudprovider.kubernetes.io/uninitialized";

/// Whether a node rejects pods: not ready, cordoned, or under pressure.
pub fn is_ill(node: &Object) -> bool {
    !condition(node, "Ready").is_some_and(|ready| ready.is_true())
        || node.data["spec"]["unschedulable"] == true
        || has_taint(node, AGENT_NOT_READY)
        || has_taint(node, UNINITIALIZED)
        || pressure(node).is_some()
}

/// Whether a node is ready, but its not-ready taint is not removed yet.
pub(super) fn is_settling(node: &Object) -> bool {
    condition(node, "Ready").is_some_and(|ready| ready.is_true()) && has_taint(node, KUBELET_NOT_READY)
}

fn has_taint(node: &Object, key: &str) -> bool {
    list(&node.data["spec"]["taints"]).any(|taint| taint["key"] == key)
}

fn pressure(node: &Object) -> Option<(&'static str, String)> {
    [("MemoryPressure", "memory"), ("DiskPressure", "disk"), ("PIDPressure", "process IDs")]
        .into_iter()
        .find_map(|(kind, of)| {
            let under = condition(node, kind).filter(Condition::is_true)?;
            Some((of, line(&under.describe())))
        })
}

pub(super) fn inspect(inquiry: &Inquiry<'_>, id: &ObjectRef, node: &Object) -> Insight {
    let Some(ready) = condition(node, "Ready") else {
        return Finding::new(&NOT_READY, "its kubelet has not reported yet").into();
    };
    let heartbeats = inquiry.list(&readiness::heartbeats()).unwrap_or_default();
    if let Some(silence) = readiness::silent(heartbeats).get(&id.name) {
        let what = format!("its kubelet has not reported for {} s", silence.seconds);
        return Finding::new(&SILENT, what).evidence(line(&ready.describe())).into();
    }
    if !ready.is_true() {
        return unready(inquiry, id, node);
    }
    if let Some((of, said)) = pressure(node) {
        return Finding::new(&PRESSURE, format!("is low on {of} and accepts no pods")).evidence(said).into();
    }
    if node.data["spec"]["unschedulable"] == true {
        return Finding::new(&CLOSED, "is cordoned").into();
    }
    if has_taint(node, AGENT_NOT_READY) {
        let own = Finding::new(&NO_NETWORK, format!("still has the taint {AGENT_NOT_READY}"));
        return Insight::from(if inquiry.age(node) < JOINING { own.transient() } else { own })
            .join(agent_on(inquiry, id));
    }
    if has_taint(node, UNINITIALIZED) {
        return Finding::new(
            &NO_CLOUD,
            format!("has the taint {UNINITIALIZED}: no cloud controller has initialized it"),
        )
        .into();
    }
    Insight::nothing()
}

fn unready(inquiry: &Inquiry<'_>, id: &ObjectRef, node: &Object) -> Insight {
    let Some(ready) = condition(node, "Ready") else { return Insight::nothing() };
    let since = inquiry.seconds_since(ready.since()).unwrap_or(i64::MAX).min(inquiry.age(node));
    let said = line(&ready.describe());
    if !ready.is_false() {
        return Finding::new(&SILENT, format!("its kubelet has not reported for {since} s"))
            .evidence(said)
            .into();
    }
    let message = ready.message();
    let lacks_network = message.contains("cni")
        || message.contains("NetworkPluginNotReady")
        || message.contains("network plugin");
    let own = if lacks_network && is_without_plugin(inquiry, id, node) {
        // Nothing that is there would ever give it one, however young it is.
        let what = format!("has no network plugin, and none is installed: {}", line(message));
        Finding::new(&NO_NETWORK, what)
    } else if since < JOINING {
        Finding::new(&NEW, format!("not ready for {since} s: {}", line(message))).transient()
    } else if lacks_network {
        Finding::new(&NO_NETWORK, format!("has no network plugin: {}", line(message)))
    } else {
        Finding::new(&NOT_READY, format!("is not ready: {said}"))
    };
    let insight = Insight::from(own.evidence(said));
    if lacks_network { insight.join(agent_on(inquiry, id)) } else { insight }
}

/// Whether nothing in the cluster sets up a network on a node: no agent runs there, and no `DaemonSet` writes a
/// configuration for it. k3s and RKE2 bring a plugin of their own, in a process that is no pod.
fn is_without_plugin(inquiry: &Inquiry<'_>, id: &ObjectRef, node: &Object) -> bool {
    let version = readiness::text(&node.data["status"]["nodeInfo"]["kubeletVersion"]);
    let brings_its_own = ["+k3s", "+rke2"].iter().any(|mark| version.contains(mark));
    let (Some(agents), Some(sets)) =
        (cilium::agents_on(inquiry, &id.name), inquiry.list(&Selection::of("apps/v1", "DaemonSet")))
    else {
        return false;
    };
    let is_plugin = |set: &&Object| {
        label(set, "k8s-app") == "cilium"
            || list(&set.data["spec"]["template"]["spec"]["volumes"]).any(|volume| {
                let path = readiness::text(&volume["hostPath"]["path"]);
                path.contains("/cni/") || path.ends_with("/cni") || path.contains("/etc/cni")
            })
    };
    !brings_its_own && agents.is_empty() && !sets.iter().any(is_plugin)
}

/// The network agent's pod on a node; if there is none, the DaemonSet that should create one.
fn agent_on(inquiry: &Inquiry<'_>, node: &ObjectRef) -> Insight {
    let Some(agents) = cilium::agents_on(inquiry, &node.name) else { return Insight::nothing() };
    if agents.is_empty() {
        let sets = inquiry.all(&Selection::of("apps/v1", "DaemonSet").labelled(readiness::cilium::AGENTS));
        return Insight::nothing().and_for(sets);
    }
    Insight::nothing().and_for(agents)
}
