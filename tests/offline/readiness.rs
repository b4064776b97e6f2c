//! Readiness against the original: kstatus of `fluxcd/cli-utils` judges the same objects.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::common;

use std::collections::BTreeMap;

use common::kstatus::{self, Answer};
use common::oracle;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

const CASES: usize = 10_000;

const KINDS: [(&str, &str); 34] = [
    ("v1", "Service"),
    ("v1", "Pod"),
    ("v1", "Secret"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "ConfigMap"),
    ("v1", "Node"),
    ("v1", "Namespace"),
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "DaemonSet"),
    ("extensions/v1beta1", "DaemonSet"),
    ("apps/v1", "Deployment"),
    ("extensions/v1beta1", "Deployment"),
    ("apps/v1", "ReplicaSet"),
    ("extensions/v1beta1", "ReplicaSet"),
    ("policy/v1", "PodDisruptionBudget"),
    ("batch/v1", "CronJob"),
    ("batch/v1", "Job"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("apiregistration.k8s.io/v1", "APIService"),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
    ("kustomize.toolkit.fluxcd.io/v1", "Kustomization"),
    ("helm.toolkit.fluxcd.io/v2", "HelmRelease"),
    ("source.toolkit.fluxcd.io/v1", "GitRepository"),
    ("source.toolkit.fluxcd.io/v1", "HelmRepository"),
    ("fluxcd.controlplane.io/v1", "FluxInstance"),
    ("gateway.networking.k8s.io/v1", "Gateway"),
    ("gateway.networking.k8s.io/v1", "HTTPRoute"),
    ("cilium.io/v2", "CiliumLoadBalancerIPPool"),
    ("cilium.io/v2", "CiliumBGPClusterConfig"),
    ("cert-manager.io/v1", "Certificate"),
    ("external-secrets.io/v1", "ExternalSecret"),
    ("ceph.rook.io/v1", "CephCluster"),
    ("example.org/v1", "Thing"),
    ("example.org/v1", "Deployment"),
];

fn texts(of: &[&'static str]) -> impl Strategy<Value = Value> + use<> {
    select(of.to_vec()).prop_map(Value::from)
}

/// Mostly what `of` gives, sometimes what nobody expects.
fn mostly(of: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Value> {
    let odd = [json!(null), json!("3"), json!(1.5), json!({}), json!([]), json!(true)];
    prop_oneof![40 => of, 1 => select(odd.to_vec())]
}

/// Numbers that meet each other often.
fn counts() -> impl Strategy<Value = Value> {
    prop_oneof![6 => Just(2_i64), 1 => -1_i64..4].prop_map(Value::from)
}

/// Some of the fields, each with a value of its own.
fn some_of<const N: usize>(
    fields: &[(&'static str, BoxedStrategy<Value>); N],
) -> impl Strategy<Value = Map<String, Value>> + use<N> {
    let len = N;
    let few = subsequence(fields.to_vec(), 0..=len);
    // Most objects are whole, or nearly.
    let many = subsequence(fields.to_vec(), len.saturating_sub(2)..=len);
    prop_oneof![1 => few, 3 => many].prop_flat_map(|fields| {
        let (names, values): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
        values.prop_map(move |values| names.iter().map(|name| (*name).to_owned()).zip(values).collect())
    })
}

fn conditions() -> impl Strategy<Value = Value> {
    let kinds = [
        "Ready",
        "Ready",
        "Stalled",
        "Reconciling",
        "Progressing",
        "Available",
        "Available",
        "PodScheduled",
        "Complete",
        "Failed",
        "ReplicaFailure",
        "NamesAccepted",
        "Established",
        "Accepted",
        "Programmed",
        "cilium.io/PoolConflict",
        "cilium.io/NoMatchingNode",
    ];
    let reasons = [
        "",
        "NewReplicaSetAvailable",
        "NewReplicaSetAvailable",
        "ProgressDeadlineExceeded",
        "Installing",
        "Unschedulable",
        "R",
    ];
    let one = some_of(&[
        ("type", mostly(texts(&kinds)).boxed()),
        ("status", mostly(texts(&["True", "True", "False", "Unknown", "", "true"])).boxed()),
        ("reason", mostly(texts(&reasons)).boxed()),
        ("message", mostly(texts(&["", "m"])).boxed()),
        ("observedGeneration", counts().boxed()),
    ]);
    mostly(prop::collection::vec(mostly(one.prop_map(Value::Object)), 0..5).prop_map(Value::Array))
}

fn containers() -> impl Strategy<Value = Value> {
    let one = some_of(&[
        ("name", Just(json!("c")).boxed()),
        (
            "state",
            select(vec![
                json!({"waiting": {"reason": "CrashLoopBackOff"}}),
                json!({"waiting": {"reason": "ContainerCreating"}}),
                json!({"waiting": {}}),
                json!({"running": {}}),
                json!({}),
            ])
            .boxed(),
        ),
    ]);
    prop::collection::vec(one.prop_map(Value::Object), 0..3).prop_map(Value::Array)
}

fn statuses() -> impl Strategy<Value = Value> {
    let numbers = [
        "replicas",
        "readyReplicas",
        "updatedReplicas",
        "currentReplicas",
        "availableReplicas",
        "fullyLabeledReplicas",
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberReady",
        "succeeded",
        "active",
    ];
    let numbers = some_of(&numbers.map(|name| (name, mostly(counts()).boxed())));
    let phases = [
        "Running",
        "Running",
        "Pending",
        "Succeeded",
        "Failed",
        "",
        "Bound",
        "Lost",
        "Active",
        "Ready",
        "Odd",
    ];
    let rest = some_of(&[
        (
            "observedGeneration",
            mostly(prop_oneof![9 => Just(2_i64), 1 => -1_i64..4].prop_map(Value::from)).boxed(),
        ),
        ("conditions", conditions().boxed()),
        ("phase", mostly(texts(&phases)).boxed()),
        ("containerStatuses", containers().boxed()),
        ("currentRevision", mostly(texts(&["a", "a", "b"])).boxed()),
        ("updateRevision", mostly(texts(&["a", "a", "b"])).boxed()),
        ("startTime", mostly(texts(&["", "2026-01-01T00:00:00Z"])).boxed()),
        ("lastAppliedRevision", texts(&["a", "b"]).boxed()),
        ("lastAttemptedRevision", texts(&["a", "b"]).boxed()),
    ]);
    mostly((numbers, rest).prop_map(|(numbers, rest)| numbers.into_iter().chain(rest).collect()))
}

fn specs() -> impl Strategy<Value = Value> {
    let strategies = [
        json!({"type": "OnDelete"}),
        json!({"type": "RollingUpdate"}),
        json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}),
        json!({"rollingUpdate": {"partition": 1}}),
    ];
    let fields = [
        ("replicas", mostly(counts()).boxed()),
        ("progressDeadlineSeconds", select(vec![json!(600), json!(i32::MAX), json!(0)]).boxed()),
        ("updateStrategy", mostly(select(strategies.to_vec())).boxed()),
        ("type", mostly(texts(&["ClusterIP", "LoadBalancer", "oci"])).boxed()),
        ("clusterIP", mostly(texts(&["", "10.0.0.1"])).boxed()),
        ("suspend", any::<bool>().prop_map(Value::from).boxed()),
    ];
    some_of(&fields).prop_map(Value::Object)
}

fn objects() -> impl Strategy<Value = Value> {
    // What is new to the original is what was made within its window: neither is near it.
    let metadata = some_of(&[
        ("generation", Just(json!(2)).boxed()),
        ("creationTimestamp", texts(&["2026-01-01T00:00:00Z", "2226-01-01T00:00:00Z"]).boxed()),
    ]);
    let deleted = prop::bool::weighted(0.03);
    let parts = (select(KINDS.to_vec()), metadata, deleted, specs(), statuses(), prop::bool::weighted(0.95));
    parts.prop_map(|((api_version, kind), mut metadata, deleted, spec, status, has_status)| {
        metadata.insert("name".into(), json!("x"));
        if deleted {
            metadata.insert("deletionTimestamp".into(), json!("2026-01-01T00:00:00Z"));
        }
        let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec});
        if has_status {
            object["status"] = status;
        }
        object
    })
}

#[test]
fn the_same_as_kstatus_and_never_ready_before_it() {
    let mut runner = TestRunner::deterministic();
    let asked: Vec<Value> = (0..CASES).map(|_| objects().new_tree(&mut runner).unwrap().current()).collect();
    let answers = kstatus::compared(&asked);
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    for answer in &answers {
        *counted.entry(answer.theirs.as_str()).or_default() += 1;
    }
    let rare = counted.iter().find(|(_, count)| **count < CASES / 100);
    assert!(rare.is_none() && counted.len() == 5, "{counted:?}");
    eprintln!("{CASES} objects, by what kstatus says of them: {counted:?}");
    oracle::assert_none_differs(answers.iter().filter_map(Answer::difference).collect(), CASES);
}
