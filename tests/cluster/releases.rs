//! Releases that somebody left half done, on a real API server with the real Helm.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use crate::common;

use std::path::PathBuf;
use std::process::{Child, Command as Plain, Stdio};
use std::time::Duration;

use assert_cmd::Command;
use bootstrapper::cluster::{Cluster, ConnectOptions, ReleaseState, StoredRelease};
use bootstrapper::object::{ObjectRef, Selection};
use common::charts::Charts;
use futures::StreamExt as _;
use predicates::prelude::*;
use predicates::str::contains;
use tempfile::TempDir;

const TASKS: &str = "stages: [{name: only, steps: [{release: slow, await: false, timeout: 20s}]}]\n";

/// A sandbox of its own state folder, and a repository with one release. Goes down with the test.
struct Story {
    state: TempDir,
    repository: TempDir,
    charts: Charts,
}

impl Drop for Story {
    fn drop(&mut self) {
        let _ = self.command(&["sandbox", "down", "held"]).output();
    }
}

impl Story {
    fn begin() -> Self {
        let story = Self {
            state: tempfile::tempdir().unwrap(),
            repository: tempfile::tempdir().unwrap(),
            charts: Charts::serve(),
        };
        story.write("clusters/held/flux-system/gotk-sync.yaml", &common::sync("./clusters/held"));
        story.write("tasks/bootstrap.yaml", TASKS);
        story.declare(false, "one");
        story.command(&["sandbox", "up", "held", "--repo"]).arg(story.repository.path()).assert().success();
        story
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.repository.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn declare(&self, waits: bool, says: &str) {
        let url = &self.charts.url;
        self.write(
            "clusters/held/release.yaml",
            &format!(
                "apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {{name: charts, namespace: default}}
spec: {{interval: 1h, url: {url}}}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: slow, namespace: default}}
spec:
  interval: 1h
  chart: {{spec: {{chart: slow, version: 1.x, sourceRef: {{kind: HelmRepository, name: charts}}}}}}
  commonMetadata: {{labels: {{team: a}}}}
  values: {{waits: {waits}, says: {says}}}
"
            ),
        );
    }

    /// The release by version 1.0.1 of a registry.
    fn declare_other_version(&self, kind: &str) {
        let host = &self.charts.host;
        let (source, chart) = if kind == "OCIRepository" {
            (
                format!("url: 'oci://{host}/charts/slow', ref: {{tag: 1.0.1}}"),
                "chartRef: {kind: OCIRepository, name: charts}",
            )
        } else {
            (
                format!("url: 'oci://{host}/charts', type: oci"),
                "chart: {spec: {chart: slow, version: 1.0.1, sourceRef: {kind: HelmRepository, name: charts}}}",
            )
        };
        self.write(
            "clusters/held/release.yaml",
            &format!(
                "apiVersion: source.toolkit.fluxcd.io/v1
kind: {kind}
metadata: {{name: charts, namespace: default}}
spec: {{interval: 1h, insecure: true, {source}}}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: slow, namespace: default}}
spec:
  interval: 1h
  {chart}
  commonMetadata: {{labels: {{team: a}}}}
  values: {{waits: false, says: six}}
"
            ),
        );
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = common::bootstrapper();
        command.env("BOOTSTRAPPER_STATE_DIR", self.state.path()).args(arguments);
        command
    }

    fn kubeconfig(&self) -> PathBuf {
        self.state.path().join("sandboxes/held/kubeconfig")
    }

    fn run(&self) -> Command {
        let mut command = self.command(&["held", "--sandbox", "--progress", "plain", "--repo"]);
        command.arg(self.repository.path()).timeout(Duration::from_mins(2));
        command
    }

    /// A run that is in the middle of the release: its hook waits. Its Helm is named by a label.
    async fn started(&self, state: ReleaseState) -> (Child, u32) {
        let run = Plain::new(env!("CARGO_BIN_EXE_bootstrapper"))
            .args(["held", "--sandbox", "--progress", "plain", "--repo"])
            .arg(self.repository.path())
            .env("BOOTSTRAPPER_STATE_DIR", self.state.path())
            .env("BOOTSTRAPPER_SANDBOX_NETWORK", "simulated")
            .env("BOOTSTRAPPER_TRUST", "1")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stored = self.until(|stored| stored.state == state).await;
        let label = &stored.labels["bootstrapper-process"];
        let mut parts = label.split('.');
        assert_eq!(parts.next().unwrap(), stored.revision.to_string());
        (run, parts.next().unwrap().parse().unwrap())
    }

    async fn cluster(&self) -> Cluster {
        let options = ConnectOptions { kubeconfig: Some(self.kubeconfig()), context: "held".into() };
        Cluster::connect(&options).await.unwrap()
    }

    /// The release, as soon as it is so.
    async fn until(&self, is_so: impl Fn(&StoredRelease) -> bool) -> StoredRelease {
        let cluster = self.cluster().await;
        let secrets = Selection::of("v1", "Secret").within("default").labelled("owner=helm,name=slow");
        let mut changes = cluster.follow_all(secrets);
        loop {
            let changed = tokio::time::timeout(Duration::from_mins(1), changes.next()).await;
            changed.expect("the release never came there").unwrap().unwrap();
            match cluster.helm_release("default", "slow").await.unwrap() {
                Some(stored) if is_so(&stored) => return stored,
                _ => {}
            }
        }
    }

    /// Every revision, by number and state.
    async fn revisions(&self) -> Vec<String> {
        let secrets = Selection::of("v1", "Secret").within("default").labelled("owner=helm,name=slow");
        let all = self.cluster().await.list(&secrets).await.unwrap();
        let told = |labels: std::collections::BTreeMap<String, String>| {
            format!("{} {}", labels["version"], labels["status"])
        };
        let mut revisions: Vec<_> = all.into_iter().filter_map(|one| one.metadata.labels.map(told)).collect();
        revisions.sort();
        revisions
    }

    /// What the release's own object says, and its marks.
    async fn says(&self) -> String {
        let id = ObjectRef::namespaced("v1", "ConfigMap", "default", "slow");
        let map = self.cluster().await.get(&id).await.unwrap().unwrap();
        let labels = map.metadata.labels.unwrap();
        assert_eq!((&*labels["team"], &*labels["helm.toolkit.fluxcd.io/name"]), ("a", "slow"));
        map.data["data"]["says"].as_str().unwrap().to_owned()
    }
}

fn kill(signal: &str, pid: u32) {
    assert!(Plain::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_was_left_half_done_is_finished_and_nothing_is_doubled() {
    let story = Story::begin();

    // Helm and the run that wants it are killed in the middle of the first install.
    story.declare(true, "one");
    let (mut run, helm) = story.started(ReleaseState::PendingInstall).await;
    kill("-KILL", helm);
    run.kill().unwrap();
    run.wait().unwrap();
    assert_eq!(story.revisions().await, ["1 pending-install"]);
    story.declare(false, "two");
    story.run().assert().success().stderr(contains("removing revision 1").and(contains("has exited")));
    assert_eq!((story.revisions().await, story.says().await), (vec!["1 deployed".into()], "two".into()));
    story.run().assert().success().stderr(contains("no writes"));

    // And of an upgrade.
    story.declare(true, "three");
    let (mut run, helm) = story.started(ReleaseState::PendingUpgrade).await;
    kill("-KILL", helm);
    run.kill().unwrap();
    run.wait().unwrap();
    assert_eq!(story.revisions().await, ["1 deployed", "2 pending-upgrade"]);
    story.declare(false, "four");
    story.run().assert().success().stderr(contains("removing revision 2"));
    let upgraded: Vec<String> = vec!["1 superseded".into(), "2 deployed".into()];
    assert_eq!((story.revisions().await, story.says().await), (upgraded, "four".into()));

    // Only the run is killed: its Helm ends with it, and can write nothing any more.
    story.declare(true, "five");
    let (mut run, _) = story.started(ReleaseState::PendingUpgrade).await;
    run.kill().unwrap();
    run.wait().unwrap();
    story.declare(false, "six");
    story.run().assert().success().stderr(contains("removing revision 3"));
    let last = story.until(|stored| stored.state == ReleaseState::Deployed).await;
    assert_eq!((last.revision, story.says().await), (3, "six".into()));

    // The version that is installed comes to stand for another archive: nobody has chosen that one.
    let file = story.repository.path().join("clusters/held/release.yaml");
    let exact = std::fs::read_to_string(&file).unwrap().replace("version: 1.x", "version: 1.0.0");
    story.write("clusters/held/release.yaml", &exact);
    story.run().assert().success().stderr(contains("no writes"));
    story.charts.replace("slow");
    let installed = &last.labels["bootstrapper-chart"]["3.".len()..];
    story.run().assert().failure().stderr(
        contains("differs from the installed archive of the same version")
            .and(contains(format!("sha256 installed: {installed}")))
            .and(contains("sha256 fetched:   "))
            .and(contains("bootstrapper-chart-")),
    );
    assert!(story.revisions().await.contains(&"3 deployed".to_owned()));
    story.declare(false, "six");

    // Somebody else's Helm is at work: it is left alone, and told.
    let mut other = Plain::new(common::programs().join("helm"))
        .args([
            "upgrade",
            "slow",
            "slow",
            "--repo",
            &story.charts.url,
            "--set",
            "waits=true",
            "--namespace=default",
        ])
        .arg("--kubeconfig")
        .arg(story.kubeconfig())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    story.until(|stored| stored.state == ReleaseState::PendingUpgrade && stored.revision == 4).await;
    story.run().assert().failure().stderr(contains("a helm process on another machine may still be running"));
    assert!(story.revisions().await.contains(&"4 pending-upgrade".to_owned()));
    kill("-TERM", other.id());
    other.wait().unwrap();
    story.until(|stored| stored.state == ReleaseState::Failed).await;
    story.run().assert().success();
    assert_eq!(story.says().await, "six");

    // The chart calls itself 1.0.0: Flux refuses it by another tag of an OCIRepository, and so does the run,
    // before it writes. From a HelmRepository Flux installs it, and here it is installed already.
    story.charts.tag("slow", "1.0.0", "1.0.1");
    let before = story.revisions().await;
    story.declare_other_version("OCIRepository");
    let refused = "its tag is 1.0.1, but its Chart.yaml says version 1.0.0";
    story.run().assert().failure().stderr(contains(refused).and(contains("ref.digest")));
    assert_eq!(story.revisions().await, before);
    story.declare_other_version("HelmRepository");
    story.run().assert().success().stderr(contains("no writes"));
    assert_eq!(story.revisions().await, before);

    // What the bootstrap has made can be removed again.
    let clean = || {
        let mut clean = story.command(&["clean", "held", "--sandbox", "--yes", "--repo"]);
        clean.arg(story.repository.path()).timeout(Duration::from_mins(2));
        clean
    };
    clean().assert().success().stderr(contains("helm: uninstalling release default/slow"));
    assert!(story.revisions().await.is_empty());
    clean().assert().success().stdout(contains("nothing to remove"));
}
