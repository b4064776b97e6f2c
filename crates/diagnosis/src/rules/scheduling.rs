//! Pods that cannot be scheduled: by the scheduler's message and the nodes.

use std::collections::BTreeSet;

use super::facts::{cut, list, namespace};
use super::fitting::{fits, taints, wanted};
use super::nodes;
use crate::finding::{Code, Finding, Insight};
use crate::scene::Inquiry;
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_readiness::{Condition, condition, text};

pub(super) const CODES: &[&Code] = &[
    &TAINT,
    &SELECTOR,
    &RESOURCES,
    &ANTI_AFFINITY,
    &SPREAD,
    &VOLUME_ELSEWHERE,
    &PORTS,
    &NO_NODES,
    &REFUSED,
    &PENDING,
];

static TAINT: Code = Code {
    code: "BS-SCH-001",
    title: "Every matching node has a taint that the pod does not tolerate",
    why: "Nodes are reserved, such as control planes, or a controller has not removed its startup taint yet",
    tell: "The scheduler says `untolerated taint`; the finding names the taints",
    fix: "give the pod a toleration, remove the taint, or add nodes without it",
};

static SELECTOR: Code = Code {
    code: "BS-SCH-002",
    title: "No node matches the pod's node selector or affinity",
    why: "A label is misspelled, or no node has it",
    tell: "The scheduler says `didn't match Pod's node affinity/selector`",
    fix: "label a node, or correct `nodeSelector` or `nodeAffinity`",
};

static RESOURCES: Code = Code {
    code: "BS-SCH-003",
    title: "No node has enough resources for the pod's requests",
    why: "The sum of requests or the number of pods on each node leaves too little; requests count, actual use does not",
    tell: "The scheduler says `Insufficient cpu`, `Insufficient memory` or `Too many pods`",
    fix: "lower `resources.requests`, or add nodes",
};

static ANTI_AFFINITY: Code = Code {
    code: "BS-SCH-004",
    title: "A workload has more replicas than its anti-affinity permits nodes",
    why: "A required anti-affinity permits one replica per node",
    tell: "The scheduler says `didn't match pod anti-affinity rules`",
    fix: "use at most as many replicas as nodes, or make the anti-affinity preferred",
};

static SPREAD: Code = Code {
    code: "BS-SCH-005",
    title: "A topology spread constraint excludes every node",
    why: "`whenUnsatisfiable: DoNotSchedule` with a domain at its `maxSkew`, or nodes without the topology label",
    tell: "The scheduler says `didn't match pod topology spread constraints`",
    fix: "raise `maxSkew`, or use `ScheduleAnyway`",
};

static VOLUME_ELSEWHERE: Code = Code {
    code: "BS-SCH-006",
    title: "The pod's volume is on a node that cannot run it",
    why: "Local volumes and zones bind a pod to the location of its data",
    tell: "The scheduler says `volume node affinity conflict`",
    fix: "restore that node, or discard the volume and recreate its claim",
};

static PORTS: Code = Code {
    code: "BS-SCH-007",
    title: "The pod's host port is in use on every matching node",
    why: "Another pod, often an old replica of the same workload, uses the host port",
    tell: "The scheduler says `didn't have free ports`",
    fix: "use another port, or an update strategy that stops the old pod first",
};

static NO_NODES: Code = Code {
    code: "BS-SCH-008",
    title: "The cluster has no nodes",
    why: "No machine has joined, or all Node objects were deleted",
    tell: "The scheduler says `no nodes available`",
    fix: "join machines to the cluster; check their kubelets' logs",
};

static REFUSED: Code = Code {
    code: "BS-SCH-009",
    title: "No node can run the pod",
    why: "The scheduler reports another reason",
    tell: "The condition PodScheduled is False; the finding quotes the scheduler's message",
    fix: "read the scheduler's message: each part says how many nodes it applies to",
};

static PENDING: Code = Code {
    code: "BS-SCH-010",
    title: "The scheduler does not work",
    why: "kube-scheduler is down or has lost its lease, or the pod's scheduler does not run",
    tell: "The pod has no node and no condition PodScheduled",
    fix: "check the pods of kube-scheduler in kube-system, and `schedulerName`",
};

/// How many seconds a scheduler may take to pick up a pod.
const GLANCE: i64 = 15;

pub(super) fn inspect(inquiry: &Inquiry<'_>, id: &ObjectRef, pod: &Object) -> Insight {
    let Some(refused) = condition(pod, "PodScheduled").filter(Condition::is_false) else {
        let age = inquiry.age(pod);
        let scheduler = pod.data["spec"]["schedulerName"].as_str().unwrap_or("default-scheduler");
        let finding = Finding::new(&PENDING, format!("not picked up by scheduler {scheduler} after {age} s"));
        return if age < GLANCE { finding.transient().into() } else { finding.into() };
    };
    if refused.reason() == "SchedulingGated" {
        let gates: Vec<&str> =
            list(&pod.data["spec"]["schedulingGates"]).map(|gate| text(&gate["name"])).collect();
        return Finding::new(
            &REFUSED,
            format!("waiting for its scheduling gates to be removed: {}", gates.join(", ")),
        )
        .into();
    }
    let said = refused.message();
    if let Some(claims) = unbound_claims(id, pod, said) {
        return claims;
    }
    let Some(all) = inquiry.list(&Selection::of("v1", "Node")) else { return Insight::nothing() };
    let fitting: Vec<&Object> = all.iter().copied().filter(|node| fits(pod, node)).collect();
    let by_itself = own_words(pod, said, &all, &fitting);
    let ill: Vec<&Object> = fitting.iter().copied().filter(|node| nodes::is_ill(node)).collect();
    let by_itself = by_itself.evidence(format!("scheduler: {}", cut(said)));
    let is_settling = by_itself.code == &TAINT && fitting.iter().any(|node| nodes::is_settling(node));
    let by_itself = if is_settling { by_itself.transient() } else { by_itself };
    // Missing resources on healthy nodes have precedence over an unhealthy node.
    let is_for_the_ill = ill.len() == fitting.len() || by_itself.code == &TAINT || by_itself.code == &REFUSED;
    let insight = Insight::from(by_itself);
    if is_for_the_ill { insight.and_for(ill) } else { insight }
}

/// The pod waits for its claims, as it does when one of them waits for it.
fn unbound_claims(id: &ObjectRef, pod: &Object, said: &str) -> Option<Insight> {
    let is_about_claims = said.contains("unbound immediate PersistentVolumeClaims")
        || said.contains("persistentvolumeclaim \"")
        || said.contains("didn't find available persistent volumes");
    if !is_about_claims {
        return None;
    }
    let claims: Vec<ObjectRef> = list(&pod.data["spec"]["volumes"])
        .filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str())
        .map(|name| ObjectRef::namespaced("v1", "PersistentVolumeClaim", namespace(id), name))
        .collect();
    let own = said.contains("not found").then(|| Finding::new(&REFUSED, super::facts::line(said)));
    Some(Insight { findings: own.into_iter().collect(), waits_for: claims })
}

fn own_words(pod: &Object, said: &str, all: &[&Object], fitting: &[&Object]) -> Finding {
    let has = |sign: &str| said.contains(sign);
    let lacks: BTreeSet<&str> =
        said.split("Insufficient ").skip(1).filter_map(|rest| rest.split([',', '.', ' ']).next()).collect();
    if all.is_empty() || has("no nodes available") {
        Finding::new(&NO_NODES, "the cluster has no nodes")
    } else if fitting.is_empty() {
        Finding::new(&SELECTOR, format!("no node matches {}", wanted(pod)))
    } else if !lacks.is_empty() {
        let lacks: Vec<&str> = lacks.into_iter().collect();
        Finding::new(
            &RESOURCES,
            format!("no node has enough {}: it requests {}", lacks.join(" and "), requests(pod, &lacks)),
        )
    } else if has("Too many pods") {
        Finding::new(&RESOURCES, "every matching node has its maximum number of pods")
    } else if has("anti-affinity") {
        let nodes = bootstrapper_core::words::count(fitting.len() as u64, "node");
        Finding::new(
            &ANTI_AFFINITY,
            format!(
                "its anti-affinity permits one replica per node, and all matching nodes ({nodes}) have one"
            ),
        )
    } else if has("topology spread") {
        Finding::new(&SPREAD, "its topology spread constraint excludes every node")
    } else if has("volume node affinity conflict") {
        Finding::new(&VOLUME_ELSEWHERE, "its volume is on a node that cannot run it")
    } else if has("free ports") {
        Finding::new(&PORTS, "its host port is in use on every matching node")
    } else if has("untolerated taint") {
        match taints(pod, fitting) {
            Some(taints) => Finding::new(&TAINT, format!("it does not tolerate {taints}")),
            // The taint has been removed since.
            None => Finding::new(&TAINT, "its taint was removed; the scheduler is retrying").transient(),
        }
    } else {
        Finding::new(&REFUSED, super::facts::line(said))
    }
}

fn requests(pod: &Object, resources: &[&str]) -> String {
    let asked = list(&pod.data["spec"]["containers"]).flat_map(|container| {
        resources.iter().filter_map(|resource| {
            let amount = container["resources"]["requests"][*resource].as_str()?;
            Some(format!("{amount} {resource}"))
        })
    });
    asked.collect::<Vec<_>>().join(", ")
}
