//! Steps against an API server in memory: each operation, without a control plane.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use http::Method;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::explain::Explainer;
use crate::flux_owner::FluxOwner;
use crate::kinds::{Awaited, Wait};
use crate::named_objects::NamedObjects;
use crate::objects::ObjectSet;
use bootstrapper_cluster::FIELD_MANAGER;
use bootstrapper_cluster::mock::{ApiServer, Fault};
use bootstrapper_core::failure::FailureKind;
use bootstrapper_core::object::{Complete, Object, ObjectRef};
use bootstrapper_core::verdict::{Progress, Readiness};
use bootstrapper_engine::{
    self as engine, Act, Change, ChangeKind, Diff, EventKind, Events, Graph, Limits, Observation, OpenGate,
    PlannedStep, RunOptions, Stage, Step, StepId, StepOutcome, Teardown, Undo, Work,
};
use bootstrapper_readiness::{CustomRules, Probe};

fn object(value: &Value) -> Object {
    serde_json::from_value(value.clone()).unwrap()
}

fn namespace() -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}, "status": {"phase": "Active"}})
}

fn settings() -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}, "data": {"key": "1"}})
}

fn deployment(available: i64) -> Value {
    let status = if available == 2 { "True" } else { "False" };
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "n", "generation": 1},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": available, "availableReplicas": available,
            "conditions": [{"type": "Available", "status": status, "reason": "MinimumReplicasUnavailable", "message": "too few"}]}})
}

fn set(server: &ApiServer, objects: &[Value], owner: Option<FluxOwner>) -> ObjectSet {
    ObjectSet {
        cluster: server.connect(),
        noun: "object".to_owned(),
        objects: objects.iter().map(|value| Complete::of_own(object(value))).collect(),
        owner,
        manager: FIELD_MANAGER,
        readiness: Some(Arc::new(CustomRules::default())),
        explainer: Explainer::default(),
    }
}

async fn act(step: &impl Step) -> bootstrapper_core::failure::Result<bootstrapper_engine::Changes> {
    let observed = step.observe().await?;
    let cancel = CancellationToken::new();
    step.act(Act {
        observed: &observed,
        force_conflicts: false,
        strict: false,
        say: &|_| {},
        cancel: &cancel,
    })
    .await
}

async fn next(step: &impl Step) -> Readiness {
    tokio::time::timeout(Duration::from_secs(20), step.settle().next()).await.unwrap().unwrap().unwrap()
}

#[tokio::test]
async fn objects_are_created_once_and_namespaces_first() {
    let server = ApiServer::default();
    let step = set(&server, &[settings(), namespace()], None);
    let Observation::Missing(Diff { changes, .. }) = step.observe().await.unwrap() else {
        panic!("nothing lacks")
    };
    assert!(changes.iter().all(|change| change.kind == ChangeKind::Created), "{changes:?}");
    assert!(server.writes().is_empty());
    assert_eq!(act(&step).await.unwrap().changes.len(), 2);
    assert_eq!(server.writes(), ["PATCH /api/v1/namespaces/n", "PATCH /api/v1/namespaces/n/configmaps/c"]);
    assert!(matches!(step.observe().await.unwrap(), Observation::Satisfied { unchanged: 2, .. }));
    assert!(next(&step).await.verdict.is_ready());
    assert_eq!(server.writes().len(), 2);
}

#[tokio::test]
async fn a_field_that_differs_is_named_and_only_that_object_is_written() {
    let server = ApiServer::default();
    server.put(&namespace());
    let mut other = settings();
    other["data"]["key"] = "2".into();
    server.put(&other);
    let step = set(&server, &[settings(), namespace()], None);
    let Observation::Drifted(diff) = step.observe().await.unwrap() else { panic!("nothing differs") };
    assert_eq!((diff.changes.len(), diff.unchanged), (1, 1));
    assert_eq!(diff.changes[0].subject, "ConfigMap n/c");
    act(&step).await.unwrap();
    assert_eq!(server.writes(), ["PATCH /api/v1/namespaces/n/configmaps/c"]);
}

#[tokio::test]
async fn what_is_not_ready_says_which_object_and_which_condition() {
    let server = ApiServer::default();
    for value in [namespace(), settings(), deployment(1)] {
        server.put(&value);
    }
    let step = set(&server, &[namespace(), settings(), deployment(1)], None);
    let waits = next(&step).await;
    assert_eq!(waits.progress, Some(Progress { ready: 2, total: 3 }));
    let [reason] = waits.verdict.reasons() else { panic!("{:?}", waits.verdict) };
    assert_eq!(reason.object.as_ref().map(ToString::to_string).as_deref(), Some("Deployment n/d"));
    // The observed objects are passed on, for the diagnosis.
    assert_eq!(waits.observed.len(), 3);
    server.put(&deployment(2));
    let mut items = step.settle();
    let ready = async { while !items.next().await.unwrap().unwrap().verdict.is_ready() {} };
    tokio::time::timeout(Duration::from_secs(20), ready).await.unwrap();
}

#[tokio::test]
async fn what_flux_owns_is_left_to_flux() {
    let server = ApiServer::default();
    let kustomization = |revision: &str, ready: &str| {
        json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": {"name": "k", "namespace": "flux-system"},
            "status": {"lastAppliedRevision": revision, "lastAttemptedRevision": revision,
                "conditions": [{"type": "Ready", "status": ready, "reason": "Progressing", "message": "is on its way"}]}})
    };
    let owner = ObjectRef::namespaced("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "flux-system", "k");
    server.put(&kustomization("main@sha1:a", "False"));
    let step = set(&server, &[settings()], Some(FluxOwner(owner.clone())));
    // The object itself was deleted: Flux repairs that.
    assert!(matches!(step.observe().await.unwrap(), Observation::Satisfied { .. }));
    let waits = next(&step).await;
    assert_eq!(waits.verdict.reasons()[0].object.as_ref(), Some(&owner));
    server.put(&kustomization("main@sha1:a", "True"));
    assert!(next(&step).await.verdict.is_ready());
    assert!(server.writes().is_empty());
}

#[tokio::test]
async fn what_was_applied_is_owned_and_goes() {
    let server = ApiServer::default();
    let step = set(&server, &[namespace(), settings()], None);
    assert!(step.owned().await.unwrap().objects.is_empty());
    act(&step).await.unwrap();
    let owned = step.owned().await.unwrap();
    let names: Vec<String> = owned.objects.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["ConfigMap n/c", "Namespace n"]);
    // With only their names known, they are the same.
    let undo = NamedObjects {
        cluster: server.connect(),
        noun: "object".to_owned(),
        objects: vec![object(&settings())],
        manager: FIELD_MANAGER,
    };
    let teardown =
        Teardown { stall_timeout: Duration::from_secs(5), release_finalizers: false, say: &|_| {} };
    assert_eq!(undo.teardown(&teardown).await.unwrap().changes.len(), 1);
    assert_eq!(step.owned().await.unwrap().objects.len(), 1);
    step.teardown(&teardown).await.unwrap();
    assert!(step.owned().await.unwrap().objects.is_empty());
}

#[tokio::test]
async fn what_flux_merges_is_its_own_from_the_start() {
    let server = ApiServer::default();
    let mut merged = settings();
    merged["metadata"]["annotations"] = json!({"kustomize.toolkit.fluxcd.io/ssa": "Merge"});
    let step = set(&server, &[merged], None);
    act(&step).await.unwrap();
    let live = server.connect().get(&ObjectRef::of(&object(&settings()))).await.unwrap().unwrap();
    let managers: Vec<_> =
        live.metadata.managed_fields.iter().flatten().filter_map(|entry| entry.manager.as_deref()).collect();
    assert_eq!(managers, ["kustomize-controller"]);
    assert_eq!(step.owned().await.unwrap().objects.len(), 1);
}

/// An object of another manager is not removed.
#[tokio::test]
async fn objects_of_a_user_are_kept() {
    let server = ApiServer::default();
    let mut own = settings();
    own["metadata"]["managedFields"] = json!([{"manager": "kubectl-edit", "operation": "Update"}]);
    server.put(&own);
    let step = set(&server, &[settings()], None);
    assert!(step.owned().await.unwrap().objects.is_empty());
}

fn node(name: &str, ready: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name},
        "status": {"conditions": [{"type": "Ready", "status": ready, "reason": "KubeletNotReady", "message": "cni plugin not initialized"}]}})
}

#[tokio::test]
async fn a_probe_waits_for_the_last_node_and_counts() {
    let server = ApiServer::default();
    server.put(&node("a", "True"));
    server.put(&node("b", "False"));
    let step = Wait::new(server.connect(), Awaited::Probe(Probe::Nodes));
    let Observation::Awaited { waits_for, progress } = step.observe().await.unwrap() else {
        panic!("it is ready")
    };
    assert_eq!(progress, Some(Progress { ready: 1, total: 2 }));
    assert_eq!(waits_for[0].to_string(), "Node b: KubeletNotReady: cni plugin not initialized");
    assert_eq!(waits_for[0].field.as_deref(), Some("Ready"));
    server.put(&node("b", "True"));
    assert!(matches!(step.observe().await.unwrap(), Observation::Satisfied { .. }));
}

fn graph(step: impl Step + 'static) -> Graph {
    let id = StepId { stage: "s".to_owned(), name: "objects".to_owned() };
    let limits = Limits { timeout: Duration::from_mins(1), inactivity: Duration::from_mins(1) };
    let work = Work::Step(Arc::new(step));
    let planned = PlannedStep { id, title: "objects".to_owned(), limits, why: None, digest: None, work };
    Graph {
        stages: vec![Stage {
            name: "s".to_owned(),
            needs: Vec::new(),
            parallel: false,
            steps: vec![planned],
        }],
    }
}

async fn run(graph: &Graph) -> (StepOutcome, Vec<EventKind>) {
    let options = RunOptions {
        gate: Arc::new(OpenGate),
        force_conflicts: false,
        strict: false,
        cancel: CancellationToken::new(),
        headline: String::new(),
    };
    let (events, mut received) = Events::channel();
    let summary = engine::run(graph, &options, &events).await;
    drop(events);
    let mut kinds = Vec::new();
    while let Some(event) = received.recv().await {
        kinds.push(event.kind);
    }
    (summary.steps[0].1.clone(), kinds)
}

#[tokio::test]
async fn a_run_comes_through_a_server_that_fails_and_a_second_one_writes_nothing() {
    let server = ApiServer::default();
    for fault in [
        Fault::Cut,
        Fault::CutAfter,
        Fault::Refusal { code: 503, reason: "ServiceUnavailable", message: "starting", retry_after: None },
    ] {
        server.fail(Method::PATCH, "configmaps/c", fault.clone());
        server.fail(Method::GET, "configmaps", fault);
    }
    let (outcome, _) = run(&graph(set(&server, &[namespace(), settings()], None))).await;
    assert!(matches!(outcome, StepOutcome::Changed { .. }), "{outcome:?}");
    let written = server.writes().len();
    let (outcome, _) = run(&graph(set(&server, &[namespace(), settings()], None))).await;
    assert!(matches!(outcome, StepOutcome::Unchanged { .. }), "{outcome:?}");
    assert_eq!(server.writes().len(), written);
}

#[tokio::test]
async fn a_refusal_ends_a_run_with_the_object_in_it() {
    let server = ApiServer::default();
    let message = "configmaps \"c\" is forbidden: User \"u\" cannot patch resource \"configmaps\" in API group \"\" in the namespace \"n\"";
    server.fail(
        Method::PATCH,
        "configmaps/c",
        Fault::Refusal { code: 403, reason: "Forbidden", message, retry_after: None },
    );
    let (outcome, events) = run(&graph(set(&server, &[settings()], None))).await;
    assert_eq!(outcome, StepOutcome::Failed);
    let failure = events.iter().find_map(|event| match event {
        EventKind::StepFinished { failure, .. } => failure.clone(),
        _ => None,
    });
    let failure = failure.unwrap();
    assert_eq!(failure.kind, FailureKind::Connection, "{failure}");
    assert!(failure.to_string().contains("ConfigMap n/c"), "{failure}");
}

/// A plan has each change; the engine passes it on unchanged.
#[tokio::test]
async fn an_observation_is_an_event_of_the_run() {
    let server = ApiServer::default();
    let (_, events) = run(&graph(set(&server, &[settings()], None))).await;
    let observed = events.iter().find_map(|event| match event {
        EventKind::StepObserved { observation: Observation::Missing(diff) } => Some(diff.changes.clone()),
        _ => None,
    });
    let [Change { kind: ChangeKind::Created, subject, .. }] = observed.as_deref().unwrap() else {
        panic!("{observed:?}")
    };
    assert_eq!(subject, "ConfigMap n/c");
}
