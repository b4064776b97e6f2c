//! Walks over small scenes: what is asked, what is found, what is told once.

use serde_json::{Value, json};

use super::*;
use bootstrapper_core::cause::Cause;
use bootstrapper_core::object::{Object, ObjectRef, Selection};

fn object(value: Value) -> Object {
    serde_json::from_value(value).unwrap()
}

fn now() -> jiff::Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

fn walk(scene: &Scene, symptom: &Object) -> Diagnosis {
    diagnose(scene, &Symptoms { objects: vec![ObjectRef::of(symptom)], refusal: None })
}

fn kustomization(name: &str, depends_on: &[&str], message: &str) -> Object {
    let depends_on: Vec<Value> = depends_on.iter().map(|name| json!({"name": name})).collect();
    object(json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": name, "namespace": "flux-system", "creationTimestamp": "2026-11-24T11:00:00Z"},
        "spec": {"dependsOn": depends_on},
        "status": {"conditions": [{"type": "Ready", "status": "False", "reason": "BuildFailed", "message": message}]},
    }))
}

fn codes(causes: &[Cause]) -> Vec<&str> {
    causes.iter().filter_map(|cause| cause.code.as_deref()).collect()
}

#[test]
fn only_objects_on_the_walk_are_queried() {
    let mut scene = Scene::at(now());
    let app = kustomization("app", &["base"], "dependency not ready");
    let base = ObjectRef { name: "base".into(), ..ObjectRef::of(&app) };
    assert_eq!(
        walk(&scene, &app).questions.into_iter().collect::<Vec<_>>(),
        [Question::Object(ObjectRef::of(&app))]
    );
    scene.add(app.clone());
    assert!(walk(&scene, &app).questions.contains(&Question::Object(base.clone())));
    // A question that fails leaves a gap, and is neither asked again nor taken for "not there".
    scene.add_failure(Question::Object(base), "no answer".into());
    let diagnosis = walk(&scene, &app);
    assert!(diagnosis.questions.is_empty(), "{:?}", diagnosis.questions);
    assert!(!codes(&diagnosis.causes).contains(&"BS-FLX-016"));
    assert_eq!(scene.gaps().collect::<Vec<_>>(), ["no answer"]);
}

#[test]
fn the_deepest_cause_is_reported_once_with_its_path() {
    let mut scene = Scene::at(now());
    let root = kustomization("root", &[], r#"variable not set (strict mode): "DOMAIN""#);
    let (a, b) = (kustomization("a", &["root"], "x"), kustomization("b", &["a"], "x"));
    for object in [&root, &a, &b] {
        scene.add(object.clone());
    }
    let symptoms = Symptoms { objects: [&a, &b].map(ObjectRef::of).into(), refusal: None };
    let causes = diagnose(&scene, &symptoms).causes;
    assert_eq!(codes(&causes), ["BS-FLX-009"]);
    assert_eq!(causes[0].cause, "Kustomization flux-system/root: variable DOMAIN is not defined");
    assert_eq!(causes[0].chain.len(), 3);
    assert_eq!(causes[0].blocks, ["Kustomization flux-system/a", "Kustomization flux-system/b"]);
}

#[test]
fn a_circle_ends_and_is_named() {
    let mut scene = Scene::at(now());
    let (a, b) = (kustomization("a", &["b"], "x"), kustomization("b", &["a"], "x"));
    scene.add(a.clone());
    scene.add(b);
    assert_eq!(codes(&walk(&scene, &a).causes), ["BS-FLX-017"]);
}

#[test]
fn a_node_without_heartbeats_is_reported_though_its_status_is_ready() {
    let node = object(json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "b", "creationTimestamp": "2026-11-24T11:00:00Z"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }));
    let lease = |name: &str, seconds: &str| {
        object(json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name, "namespace": "kube-node-lease"},
            "spec": {"renewTime": format!("2026-11-24T12:00:{seconds}.000000Z")},
        }))
    };
    let told = |heard_at: &str| {
        let mut scene = Scene::at(now());
        scene.add(node.clone());
        scene.add_list(bootstrapper_readiness::heartbeats(), vec![lease("a", "40"), lease("b", heard_at)]);
        walk(&scene, &node).causes
    };
    assert!(told("31").is_empty());
    let silent = told("10");
    assert_eq!(codes(&silent), ["BS-NOD-002"]);
    assert_eq!(silent[0].cause, "Node b: its kubelet has not reported for 30 s");
}

#[test]
fn who_is_killed_does_not_say_why_and_its_kubelet_may() {
    let pod = object(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p", "namespace": "n", "creationTimestamp": "2026-11-24T11:00:00Z"},
        "spec": {"nodeName": "a"},
        "status": {"phase": "Running", "containerStatuses": [{"name": "app", "restartCount": 4,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 137, "reason": "Error"}}}]},
    }));
    let event = |name: &str, reason: &str, message: &str| {
        object(json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": "n"},
            "involvedObject": {"kind": "Pod", "namespace": "n", "name": "p"}, "reason": reason, "message": message,
        }))
    };
    let told = |events: Vec<Object>| {
        let mut scene = Scene::at(now());
        scene.add(pod.clone());
        scene.add_list(Selection::of("v1", "Event").within("n"), events);
        let log = LogOf { pod: ObjectRef::of(&pod), container: "app".into(), previous: true };
        scene.add_log(log, "cannot write a cache".into());
        walk(&scene, &pod).causes[0].clone()
    };
    let alone = told(Vec::new());
    assert_eq!(alone.cause, "Pod n/p: container app was killed (SIGKILL); it did not exit by itself");
    assert!(alone.evidence.iter().any(|said| said.contains("cannot write a cache")), "{alone:?}");
    let probed = told(vec![
        event("a", "Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500"),
        event("b", "Killing", "Container app failed liveness probe, will be restarted"),
    ]);
    assert_eq!(codes(std::slice::from_ref(&probed)), ["BS-POD-010"]);
    assert!(
        probed.cause.ends_with("because its liveness probe fails: HTTP probe failed with statuscode: 500"),
        "{}",
        probed.cause
    );
}

/// A pod that waits for a node that waits for its agent; and a young one.
#[test]
fn stages_are_crossed_and_what_is_young_is_only_slow() {
    let agent_crashes = "dial tcp 10.0.0.9:6443: connect: no route to host";
    for (since, log, has_plugin, code, passes) in [
        ("2026-11-24T11:00:00Z", agent_crashes, true, "BS-CIL-003", false),
        ("2026-11-24T11:59:50Z", agent_crashes, true, "BS-CIL-003", false),
        ("2026-11-24T11:59:50Z", "", true, "BS-NOD-006", true),
        // Nobody would give it a network.
        ("2026-11-24T11:59:50Z", "", false, "BS-NOD-001", false),
    ] {
        let mut scene = Scene::at(now());
        let node = object(
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "cp-1", "creationTimestamp": since},
            "spec": {"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]},
            "status": {"conditions": [{"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "cni plugin not initialized", "lastTransitionTime": since}]}}),
        );
        let pod = object(
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "coredns-x", "namespace": "kube-system"}, "spec": {"containers": []},
            "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }."}]}}),
        );
        let agent = object(
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "cilium-x", "namespace": "kube-system", "labels": {"k8s-app": "cilium"}},
            "spec": {"nodeName": "cp-1", "containers": [{"name": "cilium-agent"}]},
            "status": {"phase": "Running", "containerStatuses": [{"name": "cilium-agent", "restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 1}}}]}}),
        );
        let agents = Selection::of("v1", "Pod").labelled("k8s-app=cilium");
        let of_agent = LogOf { pod: ObjectRef::of(&agent), container: "cilium-agent".into(), previous: true };
        scene.add_list(agents, if log.is_empty() { vec![] } else { vec![agent] });
        scene.add_list(Selection::of("apps/v1", "DaemonSet").labelled("k8s-app=cilium"), vec![]);
        let plugin = object(
            json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "flannel", "namespace": "kube-flannel"},
            "spec": {"template": {"spec": {"volumes": [{"name": "cni", "hostPath": {"path": "/etc/cni/net.d"}}]}}}}),
        );
        let sets = if has_plugin { vec![plugin] } else { vec![] };
        scene.add_list(Selection::of("apps/v1", "DaemonSet"), sets);
        scene.add_list(Selection::of("v1", "Node"), vec![node]);
        scene.add_log(of_agent, log.into());
        scene.add(pod.clone());
        let causes = walk(&scene, &pod).causes;
        assert_eq!((codes(&causes), causes[0].transient), (vec![code], passes), "{causes:#?}");
    }
}

/// Each of many nodes waits for an agent of its own, and all of them crash for the same reason.
#[test]
fn a_problem_of_many_nodes_is_reported_once() {
    let mut scene = Scene::at(now());
    let node = |name: &str| {
        object(
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "creationTimestamp": "2026-11-24T11:00:00Z"},
            "status": {"conditions": [{"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "cni plugin not initialized", "lastTransitionTime": "2026-11-24T11:00:00Z"}]}}),
        )
    };
    let agent = |name: &str| {
        let owner = json!([{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "cilium", "uid": "u", "controller": true}]);
        object(
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("cilium-{name}"), "namespace": "kube-system", "labels": {"k8s-app": "cilium"}, "ownerReferences": owner},
            "spec": {"nodeName": name, "containers": [{"name": "cilium-agent"}]},
            "status": {"phase": "Running", "containerStatuses": [{"name": "cilium-agent", "restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 1}}}]}}),
        )
    };
    let names: Vec<String> = (0..9).map(|number| format!("n{number}")).collect();
    let agents: Vec<Object> = names.iter().map(|name| agent(name)).collect();
    for agent in &agents {
        let of = LogOf { pod: ObjectRef::of(agent), container: "cilium-agent".into(), previous: true };
        scene.add_log(of, "dial tcp 10.0.0.9:6443: connect: no route to host".into());
    }
    scene.add_list(Selection::of("v1", "Pod").labelled("k8s-app=cilium"), agents);
    let nodes: Vec<Object> = names.iter().map(|name| node(name)).collect();
    let symptoms = Symptoms { objects: nodes.iter().map(ObjectRef::of).collect(), refusal: None };
    scene.add_list(Selection::of("v1", "Node"), nodes);
    let causes = diagnose(&scene, &symptoms).causes;
    assert_eq!(codes(&causes), ["BS-CIL-003"], "{causes:#?}");
    assert_eq!(causes[0].blocks.last().unwrap(), "and 6 more");
    let alike = causes[0].evidence.last().unwrap();
    assert_eq!(
        alike,
        "same for Pod kube-system/cilium-n1, Pod kube-system/cilium-n2, Pod kube-system/cilium-n3, and 5 more"
    );

    // Nodes whose agents are not there at all are alike themselves.
    scene.add_list(Selection::of("v1", "Pod").labelled("k8s-app=cilium"), Vec::new());
    scene.add_list(Selection::of("apps/v1", "DaemonSet").labelled("k8s-app=cilium"), Vec::new());
    let causes = diagnose(&scene, &symptoms).causes;
    assert_eq!(codes(&causes), ["BS-NOD-001"], "{causes:#?}");
    assert_eq!(causes[0].blocks, Vec::<String>::new());
    assert!(causes[0].evidence.last().unwrap().ends_with("and 5 more"), "{causes:#?}");
}

#[test]
fn a_rejection_is_parsed_anywhere_in_a_message() {
    let scene = Scene::at(now());
    for (said, code) in [
        (
            "pods \"x\" is forbidden: exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5",
            "BS-API-003",
        ),
        (
            "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": privileged (container \"c\" must not set it)",
            "BS-API-004",
        ),
        (
            "pods \"x\" is forbidden: error looking up service account a/b: serviceaccount \"b\" not found",
            "BS-API-005",
        ),
        (
            "nodes is forbidden: User \"u\" cannot list resource \"nodes\" in API group \"\" at the cluster scope",
            "BS-API-006",
        ),
        ("no matches for kind \"A\" in version \"b/v1\"", "BS-API-007"),
        ("admission webhook \"w\" denied the request: no", "BS-API-002"),
        ("spec.selector: Invalid value: {}: field is immutable", "BS-API-009"),
        ("namespaces \"a\" not found", "BS-API-011"),
        (
            "Internal error occurred: failed calling webhook \"w\": failed to call webhook: Post \"https://example.org/x\": EOF",
            "BS-API-001",
        ),
    ] {
        let symptoms =
            Symptoms { objects: Vec::new(), refusal: Some(("x cannot be applied".into(), said.into())) };
        let causes = diagnose(&scene, &symptoms).causes;
        assert_eq!(codes(&causes), [code], "{said}");
        assert!(causes[0].cause.starts_with("x cannot be applied: "), "{causes:?}");
    }
}

#[test]
fn a_taint_that_is_about_to_go_is_no_alarm() {
    let pod = object(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "a", "creationTimestamp": "2026-11-24T11:59:59Z"},
        "spec": {"containers": []},
        "status": {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/1 nodes are available: 1 node(s) had untolerated taint(s)."}]},
    }));
    let node = |taint: &str| {
        object(json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"},
            "spec": {"taints": [{"key": taint, "effect": "NoSchedule"}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        }))
    };
    let untainted = object(json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }));
    for (taint, node, passes) in [
        ("not ready", node("node.kubernetes.io/not-ready"), true),
        ("dedicated", node("dedicated"), false),
        ("gone by now", untainted, true),
    ] {
        let mut scene = Scene::at(now());
        scene.add(pod.clone());
        scene.add_list(Selection::of("v1", "Node"), vec![node]);
        let causes = walk(&scene, &pod).causes;
        assert_eq!(codes(&causes), ["BS-SCH-001"], "{taint}");
        assert_eq!(causes[0].transient, passes, "{taint}");
    }
}
