//! What people read, as snapshots: every help text, and an error of each exit code. Whoever changes a word
//! sees it in the review: `INSTA_UPDATE=always cargo test --test offline wording::` updates them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use assert_cmd::Command;
use bootstrapper::cli::Args;
use bootstrapper::cluster::mock::{ApiServer, Fault};
use bootstrapper::cluster::{Cluster, ConnectOptions, Identity};
use bootstrapper::engine::{
    self, Act, Cause, Changes, EventKind, Events, Graph, Limits, Observation, OpenGate, Owned, PlannedStep,
    RunOptions, Stage, Step, StepId, Stuck, Teardown, Undo, Work,
};
use bootstrapper::failure::{Failure, Result};
use bootstrapper::pipeline::Selector;
use bootstrapper::readiness::Probe;
use bootstrapper::report::failure_text;
use bootstrapper::steps::{Awaited, Wait};
use bootstrapper::tools::Environment;
use bootstrapper::trust::Approvals;
use bootstrapper_core::verdict::Readiness;
use clap::CommandFactory as _;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::common::{bootstrapper, edit, programs, repository};
use crate::plan::{Planned, planned};

/// Every command that is not hidden, with its own help.
fn helps(command: &clap::Command, path: &str, all: &mut Vec<(String, String)>) {
    // What is set where the test runs is no part of it.
    let mut own = command.clone().term_width(100).mut_args(|arg| arg.hide_env_values(true));
    all.push((path.to_owned(), own.render_long_help().to_string()));
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set() && verb.get_name() != "help") {
        helps(verb, &format!("{path} {}", verb.get_name()), all);
    }
}

#[test]
fn every_help_text() {
    let mut command = Args::command();
    command.build();
    let mut all = Vec::new();
    helps(&command, "bootstrapper", &mut all);
    assert!(all.len() > 20, "{}", all.len());
    for (path, text) in all {
        insta::assert_snapshot!(format!("help_{}", path.replace(' ', "_")), text);
    }
}

/// The code of a call that fails, and what it says. Folders and digests are others each time.
fn said(command: &mut Command, folder: &std::path::Path) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let text = text.replace(&folder.canonicalize().unwrap().display().to_string(), "<repository>");
    format!("exit code {}\n{text}", output.status.code().unwrap())
}

fn shown(failure: &Failure) -> String {
    format!("exit code {}\n{}", failure.kind.exit_code(), failure_text(failure))
}

/// 1: the API server refuses an object.
#[tokio::test]
async fn a_failed_step() {
    let server = ApiServer::default();
    let message = "the list of nodes is too large to be answered";
    for _ in 0..100 {
        let refusal = Fault::Refusal { code: 422, reason: "Invalid", message, retry_after: None };
        server.fail(http::Method::GET, "/nodes", refusal);
    }
    let failure = outcome(&graph(Probe::Nodes, &server.connect(), Duration::from_mins(1))).await;
    insta::assert_snapshot!(shown(&failure));
}

/// 2: a flag that does not exist.
#[test]
fn a_command_line_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(said(bootstrapper().args(["plan", "infra", "--dryrun"]), folder.path()));
}

/// 3: a task file with a typing error.
#[test]
fn a_task_file_with_an_error() {
    let copy = repository();
    edit(
        &copy,
        "tasks/bootstrap.yaml",
        "stages:",
        "stages:\n  - name: early\n    steps:\n      - relase: cilium\n",
    );
    let mut command = bootstrapper();
    command.current_dir(copy.path()).args(["plan", "infra"]);
    insta::assert_snapshot!(said(&mut command, copy.path()));
}

/// 4: preflight finds several problems, and lists them together.
#[tokio::test]
async fn a_preflight_that_failed() {
    let copy = repository();
    let checks = "checks: [tools, server, identity, permissions, nodes, addresses, secrets]";
    edit(&copy, "tasks/bootstrap.yaml", checks, "checks: [tools, nodes, addresses]");
    edit(&copy, "kubernetes/clusters/infra/settings.yaml", "10.43.0.0/16", "10.42.0.0/16");
    let selector = Selector { only: vec!["preflight".to_owned()], ..Selector::default() };
    let environment = Environment { path: vec![programs().to_owned()], ..Environment::default() };
    let approvals = Approvals::nothing();
    let (folder, selector) = (copy.path(), &selector);
    let of = Planned { folder, cluster: "infra", selector, environment, approvals, in_sandbox: true };
    let (graph, _server) = planned(of).await.unwrap();
    let text = shown(&outcome(&graph).await);
    let place = regex::Regex::new(r"yaml:\d+:\d+").unwrap();
    insta::assert_snapshot!(place.replace_all(&text, "yaml:<place>"));
}

/// 5: no such context.
#[test]
fn a_context_that_does_not_exist() {
    let copy = repository();
    let kubeconfig = copy.path().join("kubeconfig");
    std::fs::write(&kubeconfig, "{apiVersion: v1, kind: Config, contexts: [], clusters: [], users: []}")
        .unwrap();
    let mut command = bootstrapper();
    command.current_dir(copy.path()).env("KUBECONFIG", &kubeconfig).args(["plan", "infra"]);
    insta::assert_snapshot!(said(&mut command, copy.path()));
}

/// 9: the repository asks for something.
#[test]
fn a_repository_that_asks_for_something() {
    let copy = repository();
    edit(&copy, "bootstrapper.yaml", "    context: infra\n", "    context: admin@infra\n");
    let kubeconfig: PathBuf = copy.path().join("kubeconfig");
    std::fs::write(&kubeconfig, "{apiVersion: v1, kind: Config}").unwrap();
    let mut command = bootstrapper();
    command
        .current_dir(copy.path())
        .env_remove("BOOTSTRAPPER_TRUST")
        .env("HOME", copy.path().join("home"))
        .env("KUBECONFIG", &kubeconfig)
        .args(["plan", "infra"]);
    let text = said(&mut command, copy.path());
    let digest = regex::Regex::new("[0-9a-f]{12,64}").unwrap();
    insta::assert_snapshot!(digest.replace_all(&text, "<digest>"));
}

fn graph(probe: Probe, cluster: &Cluster, timeout: Duration) -> Graph {
    let step = Wait::new(cluster.clone(), Awaited::Probe(probe));
    let planned = PlannedStep {
        id: StepId { stage: "cilium".to_owned(), name: "wait-nodes".to_owned() },
        title: probe.to_string(),
        limits: Limits { timeout, inactivity: timeout },
        why: None,
        digest: None,
        work: Work::Step(Arc::new(step)),
    };
    let stage = Stage { name: "cilium".to_owned(), needs: Vec::new(), parallel: false, steps: vec![planned] };
    Graph { stages: vec![stage] }
}

/// 7: a deadline passed.
#[tokio::test]
async fn a_deadline_that_passed() {
    let server = ApiServer::default();
    server.put(&json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"},
        "status": {"conditions": [{"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": "cni plugin not initialized"}]}}));
    let failure = outcome(&graph(Probe::Nodes, &server.connect(), Duration::from_secs(2))).await;
    insta::assert_snapshot!(shown(&failure));
}

/// Why a run failed.
async fn outcome(graph: &Graph) -> Failure {
    let (events, _received) = Events::channel();
    engine::run(graph, &run_options(), &events).await.failures.remove(0)
}

fn run_options() -> RunOptions {
    RunOptions {
        gate: Arc::new(OpenGate),
        force_conflicts: false,
        strict: false,
        cancel: CancellationToken::new(),
        headline: String::new(),
    }
}

/// A step with a bug.
struct Panicking;

#[async_trait::async_trait]
impl Step for Panicking {
    async fn observe(&self) -> Result<Observation> {
        panic!("index out of bounds: the len is 0 but the index is 0")
    }

    async fn act(&self, _: Act<'_>) -> Result<Changes> {
        Ok(Changes::default())
    }

    fn settle(&self) -> futures::stream::BoxStream<'_, Result<Readiness>> {
        Box::pin(futures::stream::empty())
    }

    async fn explain(&self, _: Stuck<'_>) -> Vec<Cause> {
        Vec::new()
    }
}

#[async_trait::async_trait]
impl Undo for Panicking {
    async fn owned(&self) -> Result<Owned> {
        Ok(Owned::default())
    }

    async fn teardown(&self, _: &Teardown<'_>) -> Result<Changes> {
        Ok(Changes::default())
    }
}

/// 70: a bug.
#[tokio::test]
async fn a_step_that_panics() {
    let mut graph = graph(Probe::Nodes, &ApiServer::default().connect(), Duration::from_mins(1));
    graph.stages[0].steps[0].work = Work::Step(Arc::new(Panicking));
    insta::assert_snapshot!(shown(&outcome(&graph).await));
}

/// 130: Ctrl-C while a step waits.
#[tokio::test]
async fn a_run_that_is_interrupted() {
    let server = ApiServer::default();
    let graph = graph(Probe::Nodes, &server.connect(), Duration::from_mins(1));
    let options = run_options();
    let (events, mut received) = Events::channel();
    let interrupt = async {
        while let Some(event) = received.recv().await {
            if matches!(event.kind, EventKind::StepWaiting { .. }) {
                options.cancel.cancel();
                break;
            }
        }
    };
    let (summary, ()) = tokio::join!(engine::run(&graph, &options, &events), interrupt);
    insta::assert_snapshot!(shown(&summary.failures[0]));
}

/// 8: another run holds the lock.
#[tokio::test]
async fn a_cluster_that_another_run_holds() {
    let server = ApiServer::default();
    drop(server.hold_lock_as("alice@laptop/4711/boot/run"));
    let Err(failure) = server.connect().lock("mine", &|_| {}).await else { panic!("two runs hold it") };
    insta::assert_snapshot!(shown(&failure));
}

/// 6: the cluster knows itself as another one.
#[tokio::test]
async fn a_cluster_that_is_another_one() {
    let server = ApiServer::default();
    let cluster = server.connect();
    server.put(
        &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system", "uid": "u"}}),
    );
    cluster.record_identity(&Identity::named("lab4")).await.unwrap();
    let identity_record = cluster.identity_record().await.unwrap().unwrap();
    let text = shown(&identity_record.require(&Identity::named("infra")).unwrap_err());
    let who = regex::Regex::new(r"\d{4}-\d\d-\d\d by [^)]+").unwrap();
    insta::assert_snapshot!(who.replace(&text, "<date> by <who>"));
}

/// A refusal of the API server, as a person reads it.
#[tokio::test]
async fn an_api_server_that_cannot_be_reached() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    let config = json!({"apiVersion": "v1", "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {}}], "contexts": [{"name": "infra", "context": {"cluster": "c", "user": "u"}}]});
    std::fs::write(&file, config.to_string()).unwrap();
    let options = ConnectOptions { kubeconfig: Some(file), context: "infra".to_owned() };
    let Err(failure) = Cluster::connect(&options).await else { panic!("somebody answers on port 1") };
    insta::assert_snapshot!(shown(&failure));
}
