//! Nothing starts unless all it depended on let it.

use std::path::Path;

use tempfile::TempDir;

use super::api::ApiServer;
use super::common;

/// A repository with one cluster, `home`, that declares nothing, and these tasks.
pub(crate) fn repository(tasks: &str) -> TempDir {
    repository_of("home", tasks)
}

/// The same, whose cluster has another name.
pub(crate) fn repository_of(cluster: &str, tasks: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| {
        let file = folder.path().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    let own = format!("clusters/{cluster}");
    write(&format!("{own}/flux-system/gotk-sync.yaml"), &common::sync(&format!("./{own}")));
    write(&format!("{own}/flux-system/kustomization.yaml"), "resources: [gotk-sync.yaml]\n");
    write("tasks/bootstrap.yaml", tasks);
    folder
}

/// A verb about the cluster of that repository, at this server.
pub(crate) fn home(words: &[&str], repository: &Path, server: &ApiServer) -> assert_cmd::Command {
    home_at(words, repository, &server.kubeconfig())
}

/// The same, at whatever the context `c` of a kubeconfig leads to.
pub(crate) fn home_at(words: &[&str], repository: &Path, kubeconfig: &Path) -> assert_cmd::Command {
    let mut command = common::bootstrapper();
    command
        .args(words)
        .arg("--repo")
        .arg(repository)
        .args(["--context", "c", "--kubeconfig"])
        .arg(kubeconfig)
        // What the repository asks for is not what these tests are about.
        .env("BOOTSTRAPPER_TRUST", "all");
    command
}

#[test]
fn a_failure_reaches_what_comes_after_a_stage_in_which_nothing_runs() {
    let tasks = "stages:
- name: first
  steps: [{command: ['false']}]
- name: middle
  steps: [{release: not-here, when: declared}]
- name: last
  steps: [{command: [touch, ran]}]
";
    let (repository, server) = (repository(tasks), ApiServer::willing());
    let run = |more: &[&str]| {
        home(&[&["home", "--progress", "plain"], more].concat(), repository.path(), &server).assert()
    };
    run(&[]).code(1);
    assert!(!repository.path().join("ran").exists());
    // What was left out on the command line holds up nobody by itself, and lets nothing by.
    for more in [&["--skip", "middle"][..], &["--only", "first,last"], &["--skip", "middle/release-not-here"]]
    {
        run(more).code(1);
        assert!(!repository.path().join("ran").exists(), "{more:?}");
    }
    run(&["--from", "middle"]).success();
    assert!(repository.path().join("ran").exists());
}

#[test]
fn a_failed_preflight_reaches_across_several_stages() {
    let tasks = "stages:
- name: preflight
  steps: [{wait: {object: {apiVersion: v1, kind: ConfigMap, namespace: x, name: gone}}, timeout: 2s}]
- name: a
  steps: [{kustomization: a, when: declared}]
- name: b
  needs: [a]
  parallel: true
  steps: [{release: b, when: declared}, {release: c, when: declared}]
- name: other
  needs: []
  steps: [{command: [touch, independent]}]
- name: flux
  needs: [b, other]
  steps: [{command: [touch, ran]}]
";
    let (repository, server) = (repository(tasks), ApiServer::willing());
    home(&["home", "--progress", "plain"], repository.path(), &server).assert().code(7);
    assert!(repository.path().join("independent").exists());
    assert!(!repository.path().join("ran").exists());
}
