//! What a bootstrap installed goes without a trace.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Command as Plain, Stdio};
use std::time::Duration;

use assert_cmd::Command;
use bootstrapper::cluster::{Cluster, ConnectOptions};
use bootstrapper::object::{Complete, Object, ObjectRef};
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::common;

const STEP: i32 = 1;

const KEY_OF_DIGESTS: &str = "Secret kube-system/bootstrapper-history";

/// A part of this repository's own layout: the network, DNS, Flux, certificates with an issuer, secrets, and
/// storage and a database of which Flux keeps parts.
const KEPT: [&str; 12] = [
    "networking-crds",
    "cilium",
    "cilium-config",
    "coredns",
    "flux",
    "cert-manager",
    "cert-manager-config",
    "external-secrets",
    "external-secrets-config",
    "openebs",
    "cloudnative-pg",
    "postgres",
];

/// A small repository and the sandbox of its cluster; goes down with the test.
struct Play {
    repository: TempDir,
    state: TempDir,
}

impl Play {
    fn begin() -> Self {
        let play = Self { repository: repository(), state: tempfile::tempdir().unwrap() };
        play.run(&["sandbox", "up", "infra"]).assert().success();
        play
    }

    fn run(&self, arguments: &[&str]) -> Command {
        let mut command = common::bootstrapper();
        command
            .env("BOOTSTRAPPER_STATE_DIR", self.state.path())
            .args(arguments)
            .arg("--repo")
            .arg(self.repository.path())
            .timeout(Duration::from_mins(10));
        command
    }

    fn clean(&self, more: &[&str]) -> Command {
        let mut command = self.run(&["clean", "infra", "--sandbox"]);
        command.args(more);
        command
    }

    fn bootstrap(&self, more: &[&str]) -> assert_cmd::assert::Assert {
        self.run(&["infra", "--sandbox", "--progress", "plain"]).args(more).assert()
    }

    async fn cluster(&self) -> Cluster {
        let kubeconfig = Some(self.state.path().join("sandboxes/infra/kubeconfig"));
        Cluster::connect(&ConnectOptions { kubeconfig, context: "infra".into() }).await.unwrap()
    }

    /// A clean that is killed as soon as it says that.
    fn killed_clean(&self, says: &str) {
        let told = self.clean(&["--flux-too", "--yes"]);
        let mut child = Plain::new(told.get_program())
            .args(told.get_args())
            .envs(told.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains(says)), "it never says {says:?}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Play {
    fn drop(&mut self) {
        let mut down = common::bootstrapper();
        let _ =
            down.env("BOOTSTRAPPER_STATE_DIR", self.state.path()).args(["sandbox", "down", "infra"]).output();
    }
}

fn repository() -> TempDir {
    let copy = common::exact_copy();
    common::set_distribution(&copy, "infra", "talos", "kubeadm");
    let cluster = copy.path().join("kubernetes/clusters/infra");
    for file in ["infrastructure.yaml", "workloads.yaml"] {
        let text = std::fs::read_to_string(cluster.join(file)).unwrap();
        let name = |document: &&str| {
            KEPT.iter().any(|name| document.contains(&format!("metadata:\n  name: {name}\n")))
        };
        let kept: Vec<&str> = text.split("\n---\n").filter(name).collect();
        std::fs::write(cluster.join(file), kept.join("\n---\n")).unwrap();
    }
    copy
}

/// Every object of every kind that a clean is to leave as it was: what the cluster itself makes and
/// unmakes all the time is left out, and so is what the bootstrap remembers of its runs.
async fn all_objects(cluster: &Cluster) -> BTreeSet<String> {
    let everything = cluster.everything(|_| true).await.unwrap();
    assert_eq!(everything.unlisted, Vec::<String>::new());
    let remembered =
        ["ConfigMap kube-system/bootstrapper", "ConfigMap kube-system/bootstrapper-history", KEY_OF_DIGESTS];
    // Kubernetes itself brings these a moment after it starts, and bears no mark on them.
    let is_kubernetes = |object: &Object| {
        let id = ObjectRef::of(object);
        let is_bare = object.metadata.labels.is_none() && object.metadata.annotations.is_none();
        id.name == "kube-root-ca.crt" || (id.kind == "ServiceAccount" && is_bare)
    };
    let counts = everything.objects.iter().filter(|object| !is_kubernetes(object));
    let told = counts.map(|object| ObjectRef::of(object).to_string());
    told.filter(|told| !remembered.contains(&told.as_str())).collect()
}

async fn assert_as_before(before: &BTreeSet<String>, cluster: &Cluster) {
    let after = all_objects(cluster).await;
    let differences =
        (after.difference(before).collect::<Vec<_>>(), before.difference(&after).collect::<Vec<_>>());
    assert_eq!(differences, (Vec::new(), Vec::new()), "(left, missing)");
}

fn object(value: Value) -> Object {
    serde_json::from_value(value).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn clean_removes_everything_that_the_bootstrap_installed() {
    let play = Play::begin();
    let cluster = play.cluster().await;
    let before = all_objects(&cluster).await;

    // A bootstrap that ended before Flux, and one that ended as Flux was installed.
    play.bootstrap(&["--until", "cilium"]).success();
    play.clean(&["--yes"]).assert().success();
    assert_as_before(&before, &cluster).await;
    play.bootstrap(&["--until", "flux"]).success();
    play.clean(&["--flux-too", "--yes"]).assert().success();
    assert_as_before(&before, &cluster).await;

    // To the end, with warnings or without.
    play.bootstrap(&[]).success();
    let all = all_objects(&cluster).await;
    play.clean(&["--yes"]).assert().code(STEP).stderr(contains("Flux has taken over infra"));

    // What will go is told, by whom and in which order; nothing is gone of it yet.
    let shown = play.clean(&["--flux-too", "--dry-run", "--output", "json"]).assert().success();
    let shown: Value = serde_json::from_slice(&shown.get_output().stdout).unwrap();
    let parts = shown["removes"].as_array().unwrap();
    let place = |step: &str| {
        let found = parts.iter().position(|part| part["step"].as_str().unwrap().contains(step));
        found.unwrap_or_else(|| panic!("{step} is not told: {shown:#}"))
    };
    let order = [
        "Kustomization flux-system/postgres",
        "Kustomization flux-system/openebs",
        "what Flux works with",
        "flux/release-flux-instance",
        "flux/release-flux-operator",
        "core/release-coredns",
        "cilium/release-cilium",
        "kinds",
        "namespaces",
    ];
    assert!(order.map(place).is_sorted(), "{:?}", order.map(place));
    assert_eq!(parts[place("HelmRelease openebs/openebs")]["by"], "helm-controller");
    assert_eq!(parts[place("cilium/release-cilium")]["by"], "helm");
    let kept = parts[place("Kustomization flux-system/postgres")].to_string();
    assert!(kept.contains("Flux keeps it (kustomize.toolkit.fluxcd.io/prune: disabled)"), "{kept}");
    assert_eq!(all_objects(&cluster).await, all);

    // Somebody's finalizer, and a person's own object of a kind that came with the bootstrap.
    let held = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": "held", "namespace": "postgres", "finalizers": ["example.org/hold"]}});
    cluster.apply_as("somebody", &Complete::of_own(object(held)), true).await.unwrap();
    let route = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "mine", "namespace": "default"}, "spec": {}});
    cluster.apply_as("kubectl", &Complete::of_own(object(route.clone())), true).await.unwrap();

    // Killed twice on the way, it goes on; what is held is told with who holds it.
    play.killed_clean("suspending");
    play.killed_clean("Flux releases");
    play.clean(&["--flux-too", "--yes", "--inactivity", "20s"])
        .assert()
        .code(STEP)
        .stderr(contains("postgres").and(contains("finalizer")));
    play.clean(&["--flux-too", "--yes", "--inactivity", "20s", "--release-finalizers"])
        .assert()
        .success()
        .stdout(contains(
            "kept: CustomResourceDefinition httproutes.gateway.networking.k8s.io: HTTPRoute default/mine",
        ));
    // Once that is gone, so is its kind.
    cluster.delete(&ObjectRef::of(&object(route))).await.unwrap();
    play.clean(&["--flux-too", "--yes"]).assert().success();
    assert_as_before(&before, &cluster).await;
    play.clean(&["--flux-too", "--yes"]).assert().success().stdout(contains("nothing to remove"));
}
