//! Runs that are stopped, killed, locked out and mixed up, on a real API server.
//!
//! One story, since a cluster has one life: each chapter begins where the last one ended.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use crate::common;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, Command as Plain, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use assert_cmd::Command;
use bootstrapper::cluster::{Cluster, ConnectOptions};
use bootstrapper::failure::FailureKind;
use bootstrapper::object::{Complete, Object, ObjectRef};
use futures::StreamExt as _;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::{Value, json};
use tempfile::TempDir;

const LOCKED: i32 = 8;
const STEP: i32 = 1;
const INPUT: i32 = 3;
const CANCELLED: i32 = 130;
const WRONG_CLUSTER: i32 = 6;

/// No chapter takes as long.
const TIMEOUT: Duration = Duration::from_mins(3);

/// A short bootstrap: something is written, a program runs until it is let go, something is written.
const TASKS: &str = "
stages:
  - name: survival
    steps:
      - {name: first, objects: first.yaml}
      - {name: long, command: [./long]}
      - {name: last, objects: last.yaml}
";

/// What the program of the second step does: it waits in a child for somebody to let it go.
const LONG: &str = "#!/bin/sh\nsh -c 'echo $$ > child; read go < go'\n";

/// A sandbox with a state folder and a repository of its own. Goes down with the test.
struct Sandbox {
    state: TempDir,
    repository: TempDir,
}

impl Sandbox {
    fn new() -> Self {
        let repository = common::repository();
        let at = |file: &str| repository.path().join(file);
        std::fs::remove_dir_all(at("tasks")).unwrap();
        std::fs::create_dir(at("tasks")).unwrap();
        std::fs::write(at("tasks/bootstrap.yaml"), TASKS).unwrap();
        for name in ["first", "last"] {
            std::fs::write(at(&format!("{name}.yaml")), config_map(name).to_string()).unwrap();
        }
        std::fs::write(at("long"), LONG).unwrap();
        assert!(Plain::new("chmod").arg("+x").arg(at("long")).status().unwrap().success());
        assert!(Plain::new("mkfifo").arg(at("go")).status().unwrap().success());
        Self { state: tempfile::tempdir().unwrap(), repository }
    }

    fn run(&self, arguments: &[&str]) -> Command {
        let mut command = common::bootstrapper();
        command
            .env("BOOTSTRAPPER_STATE_DIR", self.state.path())
            .env("USER", "alice")
            .args(arguments)
            .arg("--repo")
            .arg(self.repository.path())
            .timeout(TIMEOUT);
        command
    }

    /// A run whose long step is at work.
    fn started(&self) -> Run {
        let mut run = Plain::new(assert_cmd::cargo::cargo_bin("bootstrapper"));
        run.args(["infra", "--sandbox", "--progress", "json", "--repo"])
            .arg(self.repository.path())
            .env("BOOTSTRAPPER_STATE_DIR", self.state.path())
            .env("BOOTSTRAPPER_SANDBOX_NETWORK", "simulated")
            .env("BOOTSTRAPPER_TRUST", "1")
            .env("USER", "alice")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut run = run.spawn().unwrap();
        let told = BufReader::new(run.stdout.take().unwrap()).lines().map_while(Result::ok);
        let (sender, lines) = channel();
        // Read on whatever happens, so that it never waits for a reader.
        std::thread::spawn(move || told.for_each(|line| drop(sender.send(line))));
        let run = Run { run, lines };
        run.tells("running ./long");
        run
    }

    /// Lets the long step end.
    fn let_go(&self) {
        std::fs::write(self.repository.path().join("go"), "on\n").unwrap();
    }

    /// Returns once the child of the last long step has ended; fails if it does not.
    fn no_child_is_left(&self) {
        let child = std::fs::read_to_string(self.repository.path().join("child")).unwrap();
        let gone =
            Plain::new("timeout").args(["120", "tail", "-f", "/dev/null", "--pid", child.trim()]).status();
        assert!(gone.unwrap().success(), "process {child} outlived its run");
    }

    fn kubeconfig(&self) -> PathBuf {
        self.state.path().join("sandboxes/infra/kubeconfig")
    }

    async fn cluster(&self) -> Cluster {
        let options = ConnectOptions { kubeconfig: Some(self.kubeconfig()), context: "infra".into() };
        Cluster::connect(&options).await.unwrap()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let mut down = common::bootstrapper();
        down.env("BOOTSTRAPPER_STATE_DIR", self.state.path()).args(["sandbox", "down", "infra"]);
        let _ = down.output();
    }
}

/// A run that is at work, and what it tells.
struct Run {
    run: Child,
    lines: Receiver<String>,
}

impl Run {
    /// Returns once it tells something.
    fn tells(&self, something: &str) {
        while !self.lines.recv_timeout(TIMEOUT).expect("the run never came there").contains(something) {}
    }

    fn signal(&self, signal: &str) {
        let process = self.run.id().to_string();
        assert!(Plain::new("kill").args([signal, &process]).status().unwrap().success());
    }

    /// Its exit code, and what it said on stderr.
    fn ended(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.run.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.run.wait().unwrap().code(), said)
    }
}

fn config_map(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"},
        "data": {"key": name},
    })
}

fn object(value: &Value) -> Object {
    serde_json::from_value(value.clone()).unwrap()
}

fn lease() -> ObjectRef {
    ObjectRef::namespaced("coordination.k8s.io/v1", "Lease", "kube-system", "bootstrapper-lock")
}

async fn holder(cluster: &Cluster) -> Option<String> {
    let lease = cluster.get(&lease()).await.unwrap()?;
    lease.data["spec"]["holderIdentity"].as_str().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_survives_its_runs() {
    let sandbox = Sandbox::new();
    sandbox.run(&["sandbox", "up", "infra"]).timeout(TIMEOUT * 4).assert().success();
    let cluster = sandbox.cluster().await;

    one_run_holds_the_lock(&sandbox).await;
    nothing_is_written_without_the_lock(&sandbox).await;
    a_dead_holder_is_taken_over(&cluster).await;
    a_second_run_is_told_who_holds_and_may_break_it(&sandbox, &cluster).await;
    a_run_that_is_asked_to_stop_comes_to_a_safe_point(&sandbox, &cluster).await;
    a_run_that_is_stopped_at_once_leaves_no_process(&sandbox);
    a_run_that_is_killed_leaves_no_process_and_the_next_finishes(&sandbox, &cluster).await;
    the_history_tells_of_all_runs(&sandbox, &cluster).await;
    another_cluster_stops_a_run_before_it_writes(&sandbox, &cluster).await;
    what_was_made_is_removed_the_last_first(&sandbox, &cluster).await;
    what_flux_owns_is_not_removed(&sandbox, &cluster).await;
}

async fn one_run_holds_the_lock(sandbox: &Sandbox) {
    let (one, other) = (sandbox.cluster().await, sandbox.cluster().await);
    let held = one.lock("first", &|_| ()).await.unwrap();
    held.confirm().await.unwrap();
    let refused = other.lock("second", &|_| ()).await.err().unwrap();
    assert_eq!(refused.kind, FailureKind::Locked);
    assert!(refused.because[0].contains(&format!("(process {})", std::process::id())), "{refused}");
    held.release().await.unwrap();
    other.lock("second", &|_| ()).await.unwrap().release().await.unwrap();
    assert_eq!(holder(&one).await, None);
}

/// Whoever lost the lock cannot write, by whatever way; reads go on.
async fn nothing_is_written_without_the_lock(sandbox: &Sandbox) {
    let (one, other) = (sandbox.cluster().await, sandbox.cluster().await);
    let written = object(&config_map("fenced"));
    let held = one.lock("first", &|_| ()).await.unwrap();
    let holding = other.lock_holding().await.unwrap().unwrap();
    let wrong = other.break_lock("nobody holds the lock").await.unwrap_err();
    assert!(wrong.to_string().contains(&holding), "{wrong}");
    other.break_lock(&holding).await.unwrap();
    let lost = tokio::time::timeout(TIMEOUT, held.lost()).await.unwrap();
    assert!(lost.to_string().contains("--break-lock"), "{lost}");
    let refused = one.apply(&Complete::of_own(written.clone()), false).await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::Locked);
    assert!(one.get(&ObjectRef::of(&written)).await.unwrap().is_none());

    // Another takes it: the first is told who, and giving back takes nothing away.
    let taken = other.lock("second", &|_| ()).await.unwrap();
    held.release().await.unwrap();
    assert!(holder(&one).await.unwrap().ends_with("/second"));
    taken.release().await.unwrap();
}

/// Seconds are the least that a Lease can last.
async fn a_dead_holder_is_taken_over(cluster: &Cluster) {
    let stranded = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "bootstrapper-lock", "namespace": "kube-system"},
        "spec": {"holderIdentity": "bob@elsewhere/1/00000000/then", "leaseDurationSeconds": 1},
    });
    cluster.apply(&Complete::of_own(object(&stranded)), true).await.unwrap();
    let told = std::sync::Mutex::new(Vec::new());
    let say = |said: String| told.lock().unwrap().push(said);
    let held = cluster.lock("third", &say).await.unwrap();
    assert!(told.lock().unwrap()[0].contains("bob@elsewhere (process 1)"), "{told:?}");
    held.release().await.unwrap();
}

async fn a_second_run_is_told_who_holds_and_may_break_it(sandbox: &Sandbox, cluster: &Cluster) {
    let first = sandbox.started();
    let rest = ["infra", "--sandbox", "--progress", "plain", "--only", "survival/last"];
    let process = format!("(process {}) has held the lock since", first.run.id());
    sandbox
        .run(&rest)
        .assert()
        .code(LOCKED)
        .stderr(contains("alice@").and(contains(&process)).and(contains("--break-lock")));
    sandbox
        .run(&rest)
        .arg("--break-lock")
        .assert()
        .code(INPUT)
        .stderr(contains(&process).and(contains("--yes")));
    assert!(cluster.get(&ObjectRef::of(&object(&config_map("last")))).await.unwrap().is_none());
    sandbox.run(&rest).args(["--break-lock", "--yes"]).assert().success();
    let (code, said) = first.ended();
    assert_eq!(code, Some(LOCKED), "{said}");
    sandbox.no_child_is_left();
    assert!(said.contains("resume with `bootstrapper infra --sandbox"), "{said}");
}

async fn a_run_that_is_asked_to_stop_comes_to_a_safe_point(sandbox: &Sandbox, cluster: &Cluster) {
    let last = ObjectRef::of(&object(&config_map("last")));
    cluster.delete(&last).await.unwrap();
    let run = sandbox.started();
    run.signal("-INT");
    run.tells("cancel-requested");
    // What is in flight is not cut off, and the lock is held until it has ended.
    assert!(holder(cluster).await.is_some());
    sandbox.let_go();
    let (code, said) = run.ended();
    assert_eq!(code, Some(CANCELLED), "{said}");
    for part in
        ["2 of 3 steps completed", "stopped at: survival/last", "resume with `bootstrapper infra --sandbox"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(holder(cluster).await, None);
    assert!(cluster.get(&last).await.unwrap().is_none());
    sandbox.no_child_is_left();
}

/// The long step's own child ends, too, though nobody told it to.
fn a_run_that_is_stopped_at_once_leaves_no_process(sandbox: &Sandbox) {
    let run = sandbox.started();
    run.signal("-TERM");
    run.tells("cancel-requested");
    run.signal("-HUP");
    let (code, said) = run.ended();
    assert_eq!(code, Some(CANCELLED), "{said}");
    assert!(said.contains("error: aborted") && said.contains("resume with"), "{said}");
    sandbox.no_child_is_left();
}

async fn a_run_that_is_killed_leaves_no_process_and_the_next_finishes(sandbox: &Sandbox, cluster: &Cluster) {
    let run = sandbox.started();
    run.signal("-KILL");
    assert_eq!(run.ended().0, None);
    sandbox.no_child_is_left();
    assert!(holder(cluster).await.is_some(), "a killed run cannot give its lock back");
    sandbox.run(&["infra", "--sandbox", "--skip", "survival/long"]).assert().success();
    assert_eq!(holder(cluster).await, None);
    assert!(cluster.get(&ObjectRef::of(&object(&config_map("last")))).await.unwrap().is_some());
}

async fn the_history_tells_of_all_runs(sandbox: &Sandbox, cluster: &Cluster) {
    let told = sandbox.run(&["history", "infra", "--sandbox", "--output", "json"]).assert().success();
    let told: Vec<Value> = serde_json::from_slice(&told.get_output().stdout).unwrap();
    let outcomes: Vec<&str> =
        told.iter().map(|run| run["end"]["outcome"].as_str().unwrap_or("no end")).collect();
    // The newest first; whoever lost the lock could not write its end, and neither could those killed.
    assert_eq!(outcomes, ["succeeded", "no end", "no end", "cancelled", "succeeded", "no end"]);
    assert!(told.iter().all(|run| run["by"].as_str().unwrap().starts_with("alice@")), "{told:?}");
    let steps = told[0]["end"]["steps"].as_array().unwrap();
    assert_eq!(steps[0]["digest"].as_str().unwrap().len(), 64);
    assert_eq!((&steps[1]["outcome"], &steps[2]["outcome"]), (&json!("skipped"), &json!("changed")));

    // What others write there, or a later version, is told and harms nothing.
    let strange = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "bootstrapper-history", "namespace": "kube-system"},
        "data": {"run-9": "{\"format\": 9, \"version\": \"9.0.0\"}", "run-8": "\u{fffd}{[", "else": "x"},
    });
    cluster.apply(&Complete::of_own(object(&strange)), true).await.unwrap();
    cluster.delete(&ObjectRef::of(&object(&config_map("last")))).await.unwrap();
    sandbox.run(&["infra", "--sandbox", "--skip", "survival/long"]).assert().success();
    sandbox.run(&["history", "infra", "--sandbox", "--steps"]).assert().success().stdout(
        contains("9.0.0").and(contains("run-8")).and(contains("survival/last")).and(contains("alice@")),
    );
}

async fn another_cluster_stops_a_run_before_it_writes(sandbox: &Sandbox, cluster: &Cluster) {
    let record = ObjectRef::namespaced("v1", "ConfigMap", "kube-system", "bootstrapper");
    let before = cluster.get(&record).await.unwrap().unwrap();
    let last = ObjectRef::of(&object(&config_map("last")));
    cluster.delete(&last).await.unwrap();
    let refused = |said: &'static str| {
        let run = ["infra", "--sandbox", "--skip", "survival/long"];
        sandbox.run(&run).assert().code(WRONG_CLUSTER).stderr(contains(said).and(contains("--context")));
    };
    let remembers = async |key: &str, value: &str| {
        let mut data = before.data["data"].clone();
        data[key] = json!(value);
        let changed = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "bootstrapper", "namespace": "kube-system"}, "data": data,
        });
        cluster.apply_as("somebody", &Complete::of_own(object(&changed)), true).await.unwrap();
    };
    let was = |key: &str| before.data["data"][key].as_str().unwrap().to_owned();
    for (key, value, said) in [
        ("cluster", "apps", "this is cluster `apps`"),
        ("uid", "another", "comes from another cluster"),
        ("settings", "{\"CLUSTER_ID\": \"7\"}", "was bootstrapped with CLUSTER_ID 7"),
        ("settings", "{\"POD_CIDR\": \"10.1.0.0/16\"}", "was bootstrapped with POD_CIDR 10.1.0.0/16"),
    ] {
        remembers(key, value).await;
        refused(said);
        remembers(key, &was(key)).await;
    }
    assert!(cluster.get(&last).await.unwrap().is_none());
    // What cannot be read is not known, and stops nobody.
    remembers("settings", "{[").await;
    sandbox.run(&["infra", "--sandbox", "--skip", "survival/long"]).assert().success();
}

async fn what_was_made_is_removed_the_last_first(sandbox: &Sandbox, cluster: &Cluster) {
    let clean = ["clean", "infra", "--sandbox"];
    let [first, last] = ["first", "last"].map(|name| ObjectRef::of(&object(&config_map(name))));
    let is_there = async |id: &ObjectRef| cluster.get(id).await.unwrap().is_some();

    let shown = sandbox.run(&clean).args(["--dry-run", "--output", "json"]).assert().success();
    let shown: Value = serde_json::from_slice(&shown.get_output().stdout).unwrap();
    let removes = shown["removes"].as_array().unwrap();
    assert_eq!(removes.len(), 2, "{shown}");
    for (removal, name) in removes.iter().zip(["last", "first"]) {
        assert_eq!(removal["step"], format!("survival/{name}"));
        assert_eq!(removal["changes"][0]["subject"], format!("ConfigMap default/{name}"));
    }
    sandbox.run(&clean).assert().code(INPUT).stderr(contains("--yes"));
    assert!(is_there(&first).await && is_there(&last).await);

    // Somebody's finalizer holds the first, and nobody removes it.
    let held = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "first", "namespace": "default", "labels": {"is": "held"}, "finalizers": ["example.org/hold"]},
    });
    cluster.apply_as("somebody", &Complete::of_own(object(&held)), true).await.unwrap();
    let impatient = ["--yes", "--inactivity", "1s"];
    sandbox
        .run(&clean)
        .args(impatient)
        .assert()
        .code(STEP)
        .stderr(contains("finalizer example.org/hold").and(contains("--release-finalizers")));
    assert!(is_there(&first).await && !is_there(&last).await);
    sandbox.run(&clean).args(impatient).arg("--release-finalizers").assert().success();
    assert!(!is_there(&first).await);
    assert_eq!(holder(cluster).await, None);
    // The cluster has forgotten who it was, and remembers what happened to it.
    assert!(cluster.identity_record().await.unwrap().is_none());
    sandbox.run(&["history", "infra", "--sandbox"]).assert().success().stdout(contains("cleaned"));
    sandbox.run(&clean).assert().success().stdout(contains("infra: nothing to remove"));
}

async fn what_flux_owns_is_not_removed(sandbox: &Sandbox, cluster: &Cluster) {
    let (group, name) = ("kustomize.toolkit.fluxcd.io", "kustomizations.kustomize.toolkit.fluxcd.io");
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": name},
        "spec": {"group": group, "scope": "Namespaced", "names": {"kind": "Kustomization", "plural": "kustomizations"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {
                "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]},
    });
    let crd = object(&crd);
    cluster.apply(&Complete::of_own(crd.clone()), false).await.unwrap();
    let id = ObjectRef::of(&crd);
    let mut states = cluster.follow(vec![id.clone()]);
    let is_established = |crd: &Object| {
        crd.data["status"]["conditions"].to_string().contains("the initial names have been accepted")
    };
    while !states.next().await.unwrap().unwrap()[&id].as_deref().is_some_and(is_established) {}

    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}});
    cluster.apply(&Complete::of_own(object(&namespace)), false).await.unwrap();
    let root = object(&json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
        "metadata": {"name": "flux-system", "namespace": "flux-system"},
        "status": {"lastAppliedRevision": "main@sha1:1"},
    }));
    let root = Complete::of_own(root);
    while cluster.apply(&root, false).await.is_err() {}
    sandbox
        .run(&["clean", "infra", "--sandbox", "--yes"])
        .assert()
        .code(STEP)
        .stderr(contains("Flux has taken over infra").and(contains("--flux-too")));
}
