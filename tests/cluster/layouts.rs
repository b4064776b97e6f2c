//! Repositories that are laid out as other people do it, planned against a real API server.

#![allow(clippy::unwrap_used, reason = "tests")]

use backon::{ExponentialBuilder, Retryable as _};
use bootstrapper::cluster::{Cluster, Comparison, ConnectOptions};
use bootstrapper::failure::Retry;
use bootstrapper::object::{Complete, ObjectRef};
use bootstrapper::sandbox::Sandbox;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::json;

use crate::common::{self, fixture, opened};

/// A state folder, and the one sandbox in it; goes down with the test.
struct Rehearsal(tempfile::TempDir);

impl Rehearsal {
    fn run(&self, arguments: &[&str], name: &str) -> assert_cmd::assert::Assert {
        let mut command = common::bootstrapper();
        command.env("BOOTSTRAPPER_STATE_DIR", self.0.path());
        command.args(arguments).arg("--repo").arg(fixture(name)).assert()
    }
}

impl Drop for Rehearsal {
    fn drop(&mut self) {
        let mut down = common::bootstrapper();
        let _ =
            down.env("BOOTSTRAPPER_STATE_DIR", self.0.path()).args(["sandbox", "down", "staging"]).output();
    }
}

/// Against a real API server, each with the task file that its owner wrote. One control plane is
/// enough for all of them, as `plan` writes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_each_can_be_planned() {
    let rehearsal = Rehearsal(tempfile::tempdir().unwrap());
    rehearsal.run(&["sandbox", "up", "staging", "--nodes", "1"], "stages").success();
    let folder = rehearsal.0.path().join("sandboxes/staging");
    let sandbox: Sandbox =
        serde_json::from_slice(&std::fs::read(folder.join("sandbox.json")).unwrap()).unwrap();

    let planned = |first: &str| contains(first.to_owned()).and(contains("Nothing was written."));
    rehearsal.run(&["plan", "staging", "--sandbox"], "stages").success().stdout(planned("cert-manager 1.x"));
    let there = sandbox.kubeconfig.to_str().unwrap();
    for (name, cluster, first) in
        [("home", "cluster", "cilium 1.18.4"), ("monorepo", "east", "7 Kustomizations, 2 HelmReleases")]
    {
        let target = ["plan", cluster, "--context", "staging", "--kubeconfig", there];
        rehearsal.run(&target, name).success().stdout(planned(first));
    }
    flux_finds_what_is_declared_over_ssh(&sandbox).await;
}

/// The object stays as it is declared, to whoever compares it; the address in it is one that the
/// sandbox answers, without credentials.
async fn flux_finds_what_is_declared_over_ssh(sandbox: &Sandbox) {
    let access =
        ConnectOptions { kubeconfig: Some(sandbox.kubeconfig.clone()), context: sandbox.context.clone() };
    let cluster = Cluster::connect(&access).await.unwrap();
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "gitrepositories.source.toolkit.fluxcd.io"},
        "spec": {
            "group": "source.toolkit.fluxcd.io", "scope": "Namespaced",
            "names": {"kind": "GitRepository", "plural": "gitrepositories"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
            }}}],
        },
    });
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "flux-system"}});
    for object in [crd, namespace] {
        cluster.apply(&Complete::of_own(serde_json::from_value(object).unwrap()), false).await.unwrap();
    }
    let source = opened("stages").source_of("staging").unwrap();
    assert_eq!(source.data["spec"]["url"], "ssh://git@git.example.org/stages");
    // As a run does: the kind, and what admits it, come a moment after the CRD.
    let written = Complete::of_own(source.clone());
    let apply = || cluster.apply(&written, false);
    let policy = ExponentialBuilder::default().with_max_times(10);
    apply.retry(policy).when(|failure| failure.retry == Retry::MayHelp).await.unwrap();
    assert!(matches!(cluster.compare(&written).await.unwrap(), Comparison::Unchanged));
    let there = cluster.get(&ObjectRef::of(&source)).await.unwrap().unwrap();
    assert!(there.data["spec"]["secretRef"].is_null());

    let url = there.data["spec"]["url"].as_str().unwrap();
    let mut git = std::process::Command::new("git");
    git.args(["ls-remote", url]).envs(&sandbox.environment.variables).env("GIT_TERMINAL_PROMPT", "0");
    let answer = git.output().unwrap();
    let said = String::from_utf8_lossy(&answer.stderr);
    assert!(String::from_utf8_lossy(&answer.stdout).contains("refs/heads/main"), "{url}: {said}");
}
