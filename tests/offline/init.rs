//! `bootstrapper init`: for repositories that never saw this program.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use predicates::prelude::*;
use predicates::str::contains;
use tempfile::TempDir;
use walkdir::WalkDir;

const CONFIG: &str = "bootstrapper.yaml";

/// A repository in the style of others, and what its owner bootstraps it with today.
fn home() -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    common::copy_folder(&common::fixture("home"), copy.path());
    std::fs::remove_dir_all(copy.path().join("tasks")).unwrap();
    for (path, text) in [
        (
            ".taskfiles/bootstrap/Taskfile.yaml",
            "version: '3'
tasks:
  talos: {cmds: [talosctl bootstrap]}
  apps:
    cmds:
      - kubectl create namespace flux-system --dry-run=client -o yaml | kubectl apply -f -
      - sops --decrypt bootstrap/deploy-key.sops.yaml | kubectl apply -f -
      - cmd: helmfile --file bootstrap/helmfile.yaml apply
      - ./scripts/notify.sh
",
        ),
        (
            "bootstrap/helmfile.yaml",
            "releases:
  - name: cilium
    chart: oci://charts.example.org/cilium
  - name: metrics
    chart: oci://charts.example.org/metrics
",
        ),
        ("age.key", "# created: now\nAGE-SECRET-KEY-1EXAMPLE\n"),
        (
            "kubeconfig",
            "apiVersion: v1\nkind: Config\nclusters: []\nusers: []\ncontexts: [{name: admin@cluster, context: {cluster: c, user: u}}]\n",
        ),
    ] {
        let path = copy.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    copy
}

/// Every file, with its text.
fn files(folder: &Path) -> BTreeMap<PathBuf, String> {
    let files =
        WalkDir::new(folder).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    let read = |entry: walkdir::DirEntry| {
        let path = entry.path().strip_prefix(folder).unwrap().to_owned();
        (path, std::fs::read_to_string(entry.path()).unwrap())
    };
    files.map(read).collect()
}

fn init(repository: &Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = common::bootstrapper();
    command.arg("init").args(arguments).arg("--kubeconfig").arg(repository.join("kubeconfig"));
    command.arg("--repo").arg(repository).assert().success()
}

#[test]
fn what_the_repository_cannot_say_is_proposed_and_written_once() {
    let copy = home();
    let before = files(copy.path());
    init(copy.path(), &["--dry-run"]).stdout(contains("context: admin@cluster"));
    assert_eq!(files(copy.path()), before, "a dry run writes nothing");

    init(copy.path(), &[]).stderr(contains("wrote bootstrapper.yaml").and(contains("context admin@cluster")));
    let written = std::fs::read_to_string(copy.path().join(CONFIG)).unwrap();
    let key = "      # needed by Kustomization flux-system/cluster-apps (spec.decryption.secretRef.name)\n";
    assert!(written.contains(key), "{written}");
    assert!(written.contains("          age.agekey: {file: age.key}\n"), "{written}");
    assert!(!written.contains("AGE-SECRET-KEY"), "{written}");
    common::bootstrapper()
        .args(["list", "--repo"])
        .arg(copy.path())
        .assert()
        .success()
        .stdout(contains("admin@cluster"));

    init(copy.path(), &[]).stderr(contains("is up to date"));
    assert_eq!(std::fs::read_to_string(copy.path().join(CONFIG)).unwrap(), written);
    let mut after = files(copy.path());
    after.retain(|path, _| path != Path::new(CONFIG));
    assert_eq!(after, before, "nothing else is written");

    let own = "clusters: {cluster: {context: mine}}\n";
    std::fs::write(copy.path().join(CONFIG), own).unwrap();
    init(copy.path(), &[]).stderr(contains("is left as it is"));
    assert_eq!(std::fs::read_to_string(copy.path().join(CONFIG)).unwrap(), own);
}

#[test]
fn nothing_is_written_if_a_task_file_is_wrong() {
    let copy = home();
    std::fs::create_dir_all(copy.path().join("tasks")).unwrap();
    let own = "extends: built-in\nstages: [{name: x, after: nowhere, steps: []}]\n";
    std::fs::write(copy.path().join("tasks/own.yaml"), own).unwrap();
    let before = files(copy.path());
    let asked = ["init", "--kubeconfig", "kubeconfig", "--repo"];
    let outcome = common::bootstrapper().args(asked).arg(copy.path()).current_dir(copy.path()).assert();
    outcome.failure().stderr(contains("unknown stage `nowhere`"));
    assert_eq!(files(copy.path()), before);
}

#[test]
fn each_command_of_the_present_bootstrap_has_an_answer() {
    let copy = home();
    let table = contains("7 commands: 3 covered, 1 need an entry, 3 not covered")
        .and(contains(
            "| `talosctl bootstrap` | .taskfiles/bootstrap/Taskfile.yaml (talos) | not covered: machines",
        ))
        .and(contains(
            "| `cilium` | bootstrap/helmfile.yaml (cilium) | covered by step network/release-cilium |",
        ))
        .and(contains("| `metrics` | bootstrap/helmfile.yaml (metrics) | not covered: no HelmRelease"))
        .and(contains("needs an entry 'file:' under secrets in bootstrapper.yaml"));
    init(copy.path(), &["--dry-run"]).stdout(table);
}
