//! Requests to Flux against an API server in memory, where a task simulates Flux's controllers.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::handover::Handover;
use super::requests::Requests;
use super::target::{Role, Target};
use crate::explain::Explainer;
use bootstrapper_cluster::mock::ApiServer;
use bootstrapper_cluster::{RECONCILE_MANAGER, REQUESTED_AT};
use bootstrapper_core::failure::FailureKind;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_engine::{
    self as engine, Events, Graph, Limits, Observation, OpenGate, PlannedStep, RunOptions, RunSummary, Stage,
    Step, StepId, StepOutcome, Work,
};

const BEFORE: &str = "2026-01-01T00:00:00Z";
const AFTER: &str = "2026-01-01T00:01:00Z";

fn object(value: &Value) -> Object {
    serde_json::from_value(value.clone()).unwrap()
}

fn id(value: &Value) -> ObjectRef {
    ObjectRef::of(&object(value))
}

fn flux(kind: &str, name: &str, status: &str, reason: &str, since: &str) -> Value {
    let api = match kind {
        "GitRepository" => "source.toolkit.fluxcd.io/v1",
        "HelmRelease" => "helm.toolkit.fluxcd.io/v2",
        _ => "kustomize.toolkit.fluxcd.io/v1",
    };
    let condition = json!({"type": "Ready", "status": status, "reason": reason, "message": reason, "lastTransitionTime": since});
    let spec = match kind {
        "Kustomization" => json!({"sourceRef": {"kind": "GitRepository", "name": "s"}}),
        "GitRepository" => json!({"ref": {"branch": "main"}}),
        _ => json!({}),
    };
    let mut status_of = json!({"observedGeneration": 1, "conditions": [condition],
        "lastAttemptedRevision": "main@sha1:b"});
    if kind == "Kustomization" && status == "True" {
        status_of["lastAppliedRevision"] = "main@sha1:b".into();
    }
    if kind == "GitRepository" {
        status_of["artifact"] = json!({"revision": "main@sha1:b", "lastUpdateTime": BEFORE});
    }
    json!({"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": "f", "generation": 1},
        "spec": spec, "status": status_of})
}

fn controller(name: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "f", "generation": 1,
            "labels": {"app.kubernetes.io/part-of": "flux"}},
        "spec": {"replicas": 1},
        "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1,
            "conditions": [{"type": "Available", "status": "True"}]}})
}

fn server(objects: &[Value]) -> ApiServer {
    let server = ApiServer::default();
    server.serve_kind("helm.toolkit.fluxcd.io/v2", "HelmRelease", "helmreleases", true);
    for name in ["source-controller", "kustomize-controller", "helm-controller"] {
        server.put(&controller(name));
    }
    for one in objects {
        server.put(one);
    }
    server
}

fn handover(server: &ApiServer, objects: &[Value], repository: &Path) -> Handover {
    let (source, declared) = objects.split_first().unwrap();
    let root = id(&declared[0]);
    Handover {
        cluster: server.connect(),
        declared: declared.iter().map(id).collect(),
        source: id(source),
        requests: Requests::new(server.connect(), &object(source), root, repository),
        explainer: Explainer::default(),
    }
}

fn target(server: &ApiServer, of: &Value, role: Role) -> Target {
    Target {
        cluster: server.connect(),
        id: id(of),
        role,
        source: id(&flux("GitRepository", "s", "True", "x", BEFORE)),
        owners: Vec::new(),
        token: OnceLock::new(),
        explainer: Explainer::default(),
    }
}

/// Handles the next request for an object: the object then has the given state, plus the request.
fn handles(server: &ApiServer, after: Value) {
    let server = server.clone();
    tokio::spawn(async move {
        let id = id(&after);
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let annotations = server.get(&id).and_then(|object| object.metadata.annotations);
            let Some(token) = annotations.and_then(|all| all.get(REQUESTED_AT).cloned()) else { continue };
            let mut after = after;
            after["metadata"]["annotations"] = json!({REQUESTED_AT: token});
            after["status"]["lastHandledReconcileAt"] = token.into();
            server.put(&after);
            return;
        }
    });
}

async fn run(step: impl Step + 'static) -> RunSummary {
    let limit = Duration::from_secs(20);
    let planned = PlannedStep {
        id: StepId { stage: "s".into(), name: "a".into() },
        title: "a".into(),
        limits: Limits { timeout: limit, inactivity: limit },
        why: None,
        digest: None,
        work: Work::Step(Arc::new(step)),
    };
    let stage = Stage { name: "s".into(), needs: vec![], parallel: false, steps: vec![planned] };
    let options = RunOptions {
        gate: Arc::new(OpenGate),
        strict: false,
        force_conflicts: false,
        cancel: CancellationToken::new(),
        headline: String::new(),
    };
    let (events, _received) = Events::channel();
    engine::run(&Graph { stages: vec![stage] }, &options, &events).await
}

fn nowhere() -> &'static Path {
    Path::new("/nonexistent")
}

#[tokio::test]
async fn nothing_is_written_when_all_is_ready() {
    let objects = [
        flux("GitRepository", "s", "True", "x", BEFORE),
        flux("Kustomization", "root", "True", "x", AFTER),
        flux("HelmRelease", "app", "True", "x", AFTER),
    ];
    let server = server(&objects);
    let summary = run(handover(&server, &objects, nowhere())).await;
    assert!(matches!(summary.steps[0].1, StepOutcome::Unchanged { .. }), "{summary:?}");
    assert_eq!(server.writes(), Vec::<String>::new());
}

/// One after the other, as their dependencies become ready: all in one wait.
#[tokio::test]
async fn the_hand_over_asks_for_what_waits_for_its_interval_until_all_is_ready() {
    let mut waits = flux("Kustomization", "apps", "False", "DependencyNotReady", BEFORE);
    waits["spec"]["dependsOn"] = json!([{"name": "root"}]);
    let objects = [
        flux("GitRepository", "s", "True", "x", BEFORE),
        flux("Kustomization", "root", "True", "x", BEFORE),
        waits,
        flux("HelmRelease", "app", "False", "ValuesError", BEFORE),
    ];
    let server = server(&objects);
    // `app` failed when nothing else was ready, and depends on `apps`.
    server.put(&flux("HelmRelease", "app", "False", "ValuesError", "2026-01-01T00:00:30Z"));
    handles(&server, flux("Kustomization", "apps", "True", "x", AFTER));
    handles(&server, flux("HelmRelease", "app", "True", "x", AFTER));
    let step = handover(&server, &objects, nowhere());
    let Observation::Drifted(diff) = step.observe().await.unwrap() else { panic!("nothing is due") };
    assert_eq!(diff.summary, "request reconciliation of Kustomization f/apps");
    assert_eq!(diff.changes[0].details, ["its dependencies are ready"]);
    assert_eq!(server.writes(), Vec::<String>::new());

    let summary = run(step).await;
    assert!(summary.succeeded(), "{summary:?}");
    let StepOutcome::Changed { summary } = &summary.steps[0].1 else { panic!("{summary:?}") };
    assert_eq!(summary, "2 reconciliations requested");
    let writes = server.writes();
    assert_eq!(writes.len(), 2, "{writes:?}");
    assert!(
        writes[0].ends_with("kustomizations/apps") && writes[1].ends_with("helmreleases/app"),
        "{writes:?}"
    );
}

#[tokio::test]
async fn a_reconcile_request_is_an_annotation_with_its_own_manager() {
    let object = flux("Kustomization", "apps", "True", "x", BEFORE);
    let server = server(std::slice::from_ref(&object));
    let cluster = server.connect();
    assert!(cluster.request_reconciliation(&id(&object), "2026-01-01T00:00:00.5Z", false).await.unwrap());
    let after = server.get(&id(&object)).unwrap();
    assert_eq!(after.metadata.annotations.unwrap()[REQUESTED_AT], "2026-01-01T00:00:00.5Z");
    assert_eq!(after.metadata.managed_fields.unwrap()[0].manager.as_deref(), Some(RECONCILE_MANAGER));
    let gone = id(&flux("Kustomization", "gone", "True", "x", BEFORE));
    assert!(!cluster.request_reconciliation(&gone, "x", false).await.unwrap());
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let done = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=t", "-c", "user.email=t@x.test", "-c", "init.defaultBranch=main"])
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(done.status.success(), "{arguments:?} {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// A pushed commit that waits for the source's interval.
#[tokio::test]
async fn a_source_behind_the_pushed_commit_is_requested_and_a_stalled_release_waits_for_the_fix() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    git(&root, &["init", "--quiet"]);
    git(&root, &["commit", "--quiet", "--allow-empty", "-m", "old"]);
    let old = git(&root, &["rev-parse", "HEAD"]);
    git(&root, &["commit", "--quiet", "--allow-empty", "-m", "new"]);
    let new = git(&root, &["rev-parse", "HEAD"]);
    git(&root, &["update-ref", "refs/remotes/origin/main", &new]);

    let at = |mut object: Value, commit: &str| {
        let revision = json!(format!("main@sha1:{commit}"));
        for field in ["lastAppliedRevision", "lastAttemptedRevision"] {
            object["status"][field] = revision.clone();
        }
        object["status"]["artifact"]["revision"] = revision;
        object
    };
    let mut stalled = flux("HelmRelease", "app", "False", "UpgradeFailed", BEFORE);
    let conditions = stalled["status"]["conditions"].as_array_mut().unwrap();
    conditions
        .push(json!({"type": "Stalled", "status": "True", "reason": "RetriesExceeded", "message": "m"}));
    stalled["metadata"]["labels"] =
        json!({"kustomize.toolkit.fluxcd.io/name": "root", "kustomize.toolkit.fluxcd.io/namespace": "f"});
    let objects = [
        at(flux("GitRepository", "s", "True", "x", BEFORE), &old),
        at(flux("Kustomization", "root", "True", "x", BEFORE), &old),
        stalled,
    ];
    let server = server(&objects);
    let step = handover(&server, &objects, &root);
    let Observation::Drifted(diff) = step.observe().await.unwrap() else { panic!("nothing is due") };
    assert_eq!(diff.summary, "request reconciliation of GitRepository f/s");
    let fixed = [
        flux("HelmRelease", "app", "True", "x", AFTER),
        at(flux("Kustomization", "root", "True", "x", AFTER), &new),
    ];
    handles(&server, at(flux("GitRepository", "s", "True", "x", AFTER), &new));
    let flux = server.clone();
    tokio::spawn(async move {
        while flux.writes().is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for one in fixed {
            tokio::time::sleep(Duration::from_millis(200)).await;
            flux.put(&one);
        }
    });
    let summary = run(step).await;
    assert!(summary.succeeded(), "{summary:?}");
    assert_eq!(server.writes().len(), 1, "{:?}", server.writes());
}

#[tokio::test]
async fn a_named_object_is_reconciled_and_followed_until_ready() {
    let source = flux("GitRepository", "s", "True", "x", BEFORE);
    let app = flux("Kustomization", "apps", "True", "x", BEFORE);
    let server = server(&[source, app.clone()]);
    handles(&server, flux("Kustomization", "apps", "True", "x", AFTER));
    let summary = run(target(&server, &app, Role::Named)).await;
    assert!(summary.succeeded(), "{summary:?}");
    let after = server.get(&id(&app)).unwrap();
    assert_eq!(
        after.data["status"]["lastHandledReconcileAt"],
        after.metadata.annotations.unwrap()[REQUESTED_AT]
    );
    assert_eq!(server.writes().len(), 1);
}

#[tokio::test]
async fn a_release_whose_retries_are_exhausted_is_reset_with_the_same_token() {
    let source = flux("GitRepository", "s", "True", "x", BEFORE);
    let mut app = flux("HelmRelease", "app", "False", "UpgradeFailed", BEFORE);
    let conditions = app["status"]["conditions"].as_array_mut().unwrap();
    conditions
        .push(json!({"type": "Stalled", "status": "True", "reason": "RetriesExceeded", "message": "m"}));
    let server = server(&[source, app.clone()]);
    let step = target(&server, &app, Role::Named);
    assert!(matches!(step.observe().await.unwrap(), Observation::Drifted(_)));
    // No controller handles it: its status is stale, and not final.
    let summary = tokio::time::timeout(Duration::from_secs(2), run(step)).await;
    assert!(summary.is_err(), "{summary:?}");
    let annotations = server.get(&id(&app)).unwrap().metadata.annotations.unwrap();
    assert_eq!(annotations[REQUESTED_AT], annotations["reconcile.fluxcd.io/resetAt"]);
}

#[tokio::test]
async fn what_is_suspended_or_not_there_fails_at_once() {
    let mut app = flux("Kustomization", "apps", "True", "x", BEFORE);
    app["spec"]["suspend"] = true.into();
    let server = server(std::slice::from_ref(&app));
    for (one, expected) in [
        (app, "Kustomization f/apps is suspended"),
        (flux("Kustomization", "gone", "True", "x", BEFORE), "Kustomization f/gone not found"),
    ] {
        let summary = run(target(&server, &one, Role::Named)).await;
        assert_eq!(summary.failures[0].what, expected);
        assert_eq!(summary.failures[0].kind, FailureKind::Step);
        assert_eq!(server.writes(), Vec::<String>::new());
    }
}
