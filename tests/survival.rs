//! Runs that are stopped, killed, locked out and mixed up, on a real API server.
//!
//! One story, since a cluster has one life: each chapter begins where the last one ended.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, Command as Plain, Stdio};
use std::time::Duration;

use assert_cmd::Command;
use bootstrapper::cluster::{Cluster, ConnectOptions};
use bootstrapper::failure::FailureKind;
use bootstrapper::object::{Object, ObjectRef};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::{Value, json};
use tempfile::TempDir;

const LOCKED: i32 = 8;
const INPUT: i32 = 3;

/// No chapter takes as long.
const PATIENCE: Duration = Duration::from_mins(1);

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
            .timeout(PATIENCE);
        command
    }

    /// A run whose long step is at work.
    fn started(&self) -> Run {
        let mut run = Plain::new(env!("CARGO_BIN_EXE_bootstrapper"));
        run.args(["infra", "--sandbox", "--progress", "json", "--repo"])
            .arg(self.repository.path())
            .env("BOOTSTRAPPER_STATE_DIR", self.state.path())
            .env("BOOTSTRAPPER_SANDBOX_NETWORK", "simulated")
            .env("USER", "alice")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut run = run.spawn().unwrap();
        let mut lines = BufReader::new(run.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("running ./long")), "the run never came there");
        // Read on, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Run(run)
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

/// A run that is at work.
struct Run(Child);

impl Run {
    /// Its exit code, and what it said on stderr.
    fn ended(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.0.wait().unwrap().code(), said)
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
    sandbox.run(&["sandbox", "up", "infra"]).timeout(PATIENCE * 4).assert().success();
    let cluster = sandbox.cluster().await;

    one_run_holds_the_lock(&sandbox).await;
    nothing_is_written_without_the_lock(&sandbox).await;
    a_dead_holder_is_taken_over(&cluster).await;
    a_second_run_is_told_who_holds_and_may_break_it(&sandbox, &cluster).await;
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
    let wrong = other.break_lock("nobody holds it").await.unwrap_err();
    assert!(wrong.to_string().contains(&holding), "{wrong}");
    other.break_lock(&holding).await.unwrap();
    let lost = tokio::time::timeout(PATIENCE, held.lost()).await.unwrap();
    assert!(lost.to_string().contains("--break-lock"), "{lost}");
    let refused = one.apply(&written, false).await.unwrap_err();
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
    cluster.apply(&object(&stranded), true).await.unwrap();
    let told = std::sync::Mutex::new(Vec::new());
    let say = |said: String| told.lock().unwrap().push(said);
    let held = cluster.lock("third", &say).await.unwrap();
    assert!(told.lock().unwrap()[0].contains("bob@elsewhere (process 1)"), "{told:?}");
    held.release().await.unwrap();
}

async fn a_second_run_is_told_who_holds_and_may_break_it(sandbox: &Sandbox, cluster: &Cluster) {
    let first = sandbox.started();
    let rest = ["infra", "--sandbox", "--progress", "plain", "--only", "survival/last"];
    let process = format!("(process {}) holds it since", first.0.id());
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
    assert!(said.contains("go on with `bootstrapper infra --sandbox"), "{said}");
}
