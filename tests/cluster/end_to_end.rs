//! The main job on a real control plane: Kubernetes, Helm, Cilium's chart and operator, Flux.
//!
//! One story a cluster, since a cluster has one life: each chapter begins where the last one ended.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use crate::common;
use crate::reliability::everything::everything;
use crate::reliability::undisturbed::{self, Undisturbed};
use crate::trust::sandbox::only_its_owner_can_query_it;
mod handover;
mod leftovers;
mod reconcile;
mod tenant;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Plain, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::Command;
use backon::{ConstantBuilder, Retryable as _};
use bootstrapper::cluster::{Cluster, Comparison, ConnectOptions};
use bootstrapper::gitops::{Repository, SecretValues, renderings};
use bootstrapper::object::{Complete, Object, ObjectRef, Selection};
use bootstrapper::readiness;
use bootstrapper::tools::{Helm, Kustomize};
use bootstrapper::validation::charts_known_otherwise;
use common::processes::{marked_processes, signal};
use common::{kstatus, root};
use futures::StreamExt as _;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A sandbox of its own state folder. Goes down with the test, whatever becomes of it.
struct Sandbox {
    name: &'static str,
    state: TempDir,
    /// A changed copy of this repository, if it is bootstrapped from one.
    copy: Option<TempDir>,
    /// Whether files of whoever runs it are everybody's, if nobody says otherwise.
    is_careless: bool,
}

impl Sandbox {
    fn new(name: &'static str) -> Self {
        Self { name, state: tempfile::tempdir().unwrap(), copy: None, is_careless: false }
    }

    fn repository(&self) -> &Path {
        self.copy.as_ref().map_or_else(|| root(), TempDir::path)
    }

    /// A verb that needs no repository.
    fn bare(&self, arguments: &[&str]) -> Command {
        let mut command =
            if self.is_careless { common::bootstrapper_of_the_careless() } else { common::bootstrapper() };
        command.env("BOOTSTRAPPER_STATE_DIR", self.state.path()).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare(arguments);
        command.arg("--repo").arg(self.repository());
        command
    }

    /// As on a cluster that is no sandbox: nothing stands in for the internet there.
    fn run_without_internet(&self, repository: &TempDir, kubeconfig: &Path, cluster: &str) -> Command {
        let mut command =
            self.bare(&[cluster, "--context", self.name, "--progress", "plain", "--kubeconfig"]);
        command.arg(kubeconfig).arg("--repo").arg(repository.path());
        command
    }

    /// A run that has come to where an event says so.
    fn started_run(&self, cluster: &str, is_time: impl Fn(&str) -> bool) -> Child {
        let mut run = Plain::new(env!("CARGO_BIN_EXE_bootstrapper"))
            .args([cluster, "--sandbox", "--progress", "json", "--repo"])
            .arg(self.repository())
            .env("BOOTSTRAPPER_STATE_DIR", self.state.path())
            .env("BOOTSTRAPPER_SANDBOX_NETWORK", "simulated")
            .env("BOOTSTRAPPER_TRUST", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(run.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| is_time(&line)), "the run never came there");
        run
    }

    fn folder(&self) -> PathBuf {
        self.state.path().join("sandboxes").join(self.name)
    }

    fn kubeconfig(&self) -> PathBuf {
        self.folder().join("kubeconfig")
    }

    async fn cluster(&self) -> Cluster {
        let options = ConnectOptions { kubeconfig: Some(self.kubeconfig()), context: self.name.into() };
        Cluster::connect(&options).await.unwrap()
    }

    /// What people and runs asked the API server for, as its audit log has it.
    fn audited(&self) -> Vec<Value> {
        let log = std::fs::read_to_string(self.folder().join("logs/audit.log")).unwrap();
        let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.filter(|event| event["user"]["username"] == "admin").collect()
    }

    /// Those of them that wrote.
    fn writes(&self) -> Vec<String> {
        let is_write = |event: &Value| {
            !matches!(event["verb"].as_str(), Some("get" | "list" | "watch"))
                && event["objectRef"]["resource"] != "selfsubjectaccessreviews"
                && !event["requestURI"].as_str().unwrap_or_default().contains("dryRun=All")
        };
        let told = |event: Value| format!("{} {}", event["verb"], event["requestURI"]);
        self.audited().into_iter().filter(is_write).map(told).collect()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.bare(&["sandbox", "down", self.name]).output();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn infra_from_nothing_to_owned_by_flux() {
    let mut sandbox = Sandbox::new("infra");
    sandbox.is_careless = true;
    sandbox
        .run(&["sandbox", "up", "infra"])
        .assert()
        .success()
        .stdout(contains("export KUBECONFIG="))
        .stderr(contains("simulated: "));

    charts_take_the_values_of_their_releases(&sandbox);
    the_table_of_charts_agrees_with_what_they_render(&sandbox).await;

    // A dry run writes nothing, at any stage.
    sandbox
        .run(&["infra", "--sandbox", "--dry-run"])
        .assert()
        .success()
        .stdout(contains("Nothing was written."));
    let plan = sandbox.state.path().join("plan.json");
    let planned = ["plan", "infra", "--sandbox", "--exit-code", "--out", plan.to_str().unwrap()];
    sandbox.run(&planned).assert().code(10).stdout(contains("  last run  none recorded"));
    assert_eq!(sandbox.writes(), Vec::<String>::new());

    let kubeconfig = sandbox.kubeconfig();
    let copy = common::repository();
    preflight_lists_all_problems_before_anything_is_written(&sandbox, &copy);
    a_manifest_that_is_not_the_declared_one_is_refused(&sandbox);

    // The main job.
    let began = Instant::now();
    let ran = sandbox
        .run(&["infra", "--sandbox", "--progress", "json"])
        .timeout(Duration::from_mins(10))
        .assert()
        .success()
        .stdout(contains("\"event\":\"run-started\"").and(contains("\"event\":\"run-finished\"")))
        .stdout(contains("no drift").and(contains("7 releases adopted: ")))
        .stderr(contains("infra is up: Flux owns 29 Kustomizations and 16 HelmReleases"));
    a_report_tells_of_the_run(&sandbox);
    // The cluster has moved since that plan.
    sandbox
        .run(&["infra", "--sandbox", "--plan", plan.to_str().unwrap()])
        .assert()
        .code(3)
        .stderr(contains("infra is not as it was").and(contains("now: nothing to do")));
    undisturbed::is_known(Undisturbed {
        took: began.elapsed(),
        stages: undisturbed::stages(&ran.get_output().stdout),
        state: everything(&kubeconfig).await,
    });

    let cluster = sandbox.cluster().await;
    for kind in [
        ("kustomize.toolkit.fluxcd.io/v1", "Kustomization", 29),
        ("helm.toolkit.fluxcd.io/v2", "HelmRelease", 16),
    ] {
        let objects = cluster.list(&Selection::of(kind.0, kind.1)).await.unwrap();
        assert_eq!(objects.len(), kind.2);
        assert!(objects.iter().all(|object| readiness::verdict(object).is_ready()), "{objects:?}");
    }
    crds_come_from_pinned_sources(&cluster).await;
    let class = ObjectRef::cluster_scoped("gateway.networking.k8s.io/v1", "GatewayClass", "cilium");
    assert!(readiness::verdict(&cluster.get(&class).await.unwrap().unwrap()).is_ready());
    assert_eq!(cluster.list(&Selection::of("cilium.io/v2", "CiliumBGPNodeConfig")).await.unwrap().len(), 3);
    let service = ObjectRef::namespaced("v1", "Service", "kube-system", "clustermesh-apiserver");
    let service = cluster.get(&service).await.unwrap().unwrap();
    assert_eq!(service.data["status"]["loadBalancer"]["ingress"][0]["ip"], "10.25.12.10");

    // The shared Gateway has the address that the settings declare.
    let gateway = ObjectRef::namespaced("gateway.networking.k8s.io/v1", "Gateway", "gateway", "shared");
    let gateway = cluster.get(&gateway).await.unwrap().unwrap();
    assert!(readiness::verdict(&gateway).is_ready(), "{gateway:?}");
    assert_eq!(gateway.data["status"]["addresses"][0]["value"], "10.25.12.11");

    handover::nothing_was_changed(&sandbox);

    // Again: nothing is written, no release has a new revision, no pod is another.
    let before = (sandbox.writes(), fingerprint(&cluster).await);
    sandbox
        .run(&["infra", "--sandbox", "--progress", "plain"])
        .assert()
        .success()
        .stderr(contains("infra is up to date").and(contains("no writes")));
    assert_eq!(before, (sandbox.writes(), fingerprint(&cluster).await));
    every_verb_calls_it_well(&sandbox);
    let plan = sandbox.run(&["plan", "infra", "--sandbox", "--output", "json"]).assert().success();
    let plan: Value = serde_json::from_slice(&plan.get_output().stdout).unwrap();
    assert!(
        plan.as_array().unwrap().iter().all(|step| step["observation"]["state"] == "satisfied"),
        "{plan:#}"
    );

    // The cluster knows its name.
    sandbox
        .run_without_internet(&copy, &kubeconfig, "apps")
        .env("APPS_BGP_PASSWORD", "x")
        .env("APPS_ONEPASSWORD_TOKEN", "x")
        .assert()
        .code(6)
        .stderr(contains("this is cluster `infra`").and(contains("not `apps`")));

    a_live_cluster_is_judged_as_flux_judges_it(&cluster).await;
    an_operator_that_came_too_early_is_restarted(&sandbox, &cluster).await;
    only_its_owner_can_query_it(&sandbox.folder(), &cluster).await;
    tenant::a_tenant_gains_nothing(&cluster, &kubeconfig, "infra.example.org").await;
    a_conflict_is_shown_and_taken_over_only_by_force(&cluster).await;
    a_watch_needs_no_luck(&cluster).await;
    handover::what_is_dropped_goes(&cluster).await;
    leftovers::what_a_distribution_left_is_named(&sandbox, &cluster).await;

    // Nothing stays.
    sandbox.bare(&["sandbox", "down", "infra"]).assert().success();
    assert_eq!(marked_processes(&sandbox.folder()), []);
    assert!(!sandbox.folder().exists());
}

fn a_report_tells_of_the_run(sandbox: &Sandbox) {
    sandbox
        .bare(&["report", "infra"])
        .assert()
        .success()
        .stdout(contains("# infra: succeeded in").and(contains("## Critical path")))
        .stderr(contains("the page of this run: "));
}

/// What a run called a success is none that `status` or `doctor` finds wrong.
fn every_verb_calls_it_well(sandbox: &Sandbox) {
    sandbox.run(&["status", "infra", "--sandbox"]).assert().success();
    let diagnosed = sandbox.run(&["doctor", "infra", "--sandbox"]).assert().success();
    diagnosed.stdout("infra: no problems found\n");
}

fn preflight_lists_all_problems_before_anything_is_written(sandbox: &Sandbox, copy: &TempDir) {
    let kubeconfig = sandbox.kubeconfig();
    sandbox
        .run_without_internet(copy, &kubeconfig, "infra")
        .env("PATH", with_an_old_helm(sandbox.state.path()))
        .assert()
        .code(4)
        .stderr(
            contains("helm 3.10.0 is too old").and(contains("the environment has no INFRA_BGP_PASSWORD")),
        );
    // Contexts that were mixed up: apps declares other Services and pods.
    sandbox
        .run_without_internet(copy, &kubeconfig, "apps")
        .env("APPS_BGP_PASSWORD", "x")
        .env("APPS_ONEPASSWORD_TOKEN", "x")
        .assert()
        .code(6)
        .stderr(contains("the cluster's Services live around"));
    let stranger = without_credentials(&kubeconfig, sandbox.state.path());
    sandbox
        .run(&["infra", "--kubeconfig", stranger.to_str().unwrap()])
        .assert()
        .code(5)
        .stderr(contains("credentials"));
    assert_eq!(sandbox.writes(), Vec::<String>::new());
}

/// A manifest whose digest is declared is that one, or none.
fn a_manifest_that_is_not_the_declared_one_is_refused(sandbox: &Sandbox) {
    let copy = common::repository();
    let plan = || {
        let mut command = sandbox.bare(&["plan", "infra", "--sandbox", "--repo"]);
        command.arg(copy.path()).assert()
    };
    let tasks = "tasks/bootstrap.yaml";
    let address = "https://github.com/fluxcd/flux2/releases/download/v2.9.4/install.yaml";
    let next = "      - crds: {releases: declared}";
    let step = format!("      - crds: {{manifest: \"{address}\"}}\n");
    common::edit(&copy, tasks, next, &format!("{step}{next}"));
    let shown = plan().success();
    let shown = String::from_utf8_lossy(&shown.get_output().stdout).into_owned();
    let (_, digest) = shown.split_once("pin it with sha256: ").unwrap();
    let digest: String = digest.chars().take(64).collect();

    let other = "0".repeat(64);
    common::edit(&copy, tasks, "install.yaml\"", &format!("install.yaml\", sha256: \"{other}\""));
    plan().failure().stderr(
        contains(format!("sha256 declared: {other}"))
            .and(contains(format!("sha256 fetched:  {digest}")))
            .and(contains("tasks/bootstrap.yaml:")),
    );
    common::edit(&copy, tasks, &other, &digest);
    let pinned = plan().success();
    assert!(!String::from_utf8_lossy(&pinned.get_output().stdout).contains("pin it with"));
}

/// Flux fetches the CRDs by git, at the commits that are declared, and runs without remote bases.
async fn crds_come_from_pinned_sources(cluster: &Cluster) {
    let of = |api_version: &str, kind: &str, name: &str| {
        ObjectRef::namespaced(api_version, kind, "flux-system", name)
    };
    for (name, start) in [("gateway-api", "sha1:"), ("cilium-source", "v1.20.2@sha1:")] {
        let source = of("source.toolkit.fluxcd.io/v1", "GitRepository", name);
        let source = cluster.get(&source).await.unwrap().unwrap();
        let commit = &source.metadata.annotations.as_ref().unwrap()["bootstrapper/commit"];
        assert_eq!(source.data["status"]["artifact"]["revision"], format!("{start}{commit}"));
    }
    let crd = ObjectRef::cluster_scoped(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "ciliumbgppeerconfigs.cilium.io",
    );
    let labels = cluster.get(&crd).await.unwrap().unwrap().metadata.labels.unwrap();
    assert_eq!(labels["kustomize.toolkit.fluxcd.io/name"], "cilium-crds");
    let controller = of("apps/v1", "Deployment", "kustomize-controller");
    let controller = cluster.get(&controller).await.unwrap().unwrap();
    let arguments = &controller.data["spec"]["template"]["spec"]["containers"][0]["args"];
    assert!(arguments.as_array().unwrap().contains(&json!("--no-remote-bases=true")), "{arguments}");
}

/// Every chart takes the values of its release, and every object is as its kind wants it; what a
/// chart refuses is found, and what its registry does not have.
fn charts_take_the_values_of_their_releases(sandbox: &Sandbox) {
    sandbox
        .run(&["validate", "--charts", "--sandbox", "--strict"])
        .assert()
        .success()
        .stdout("apps, infra: valid\n");
    let extended = common::repository();
    for entry in std::fs::read_dir(root().join("kubernetes/optional")).unwrap() {
        common::add_component(&extended, &entry.unwrap().file_name().into_string().unwrap());
    }
    sandbox
        .bare(&["validate", "--charts", "--sandbox", "--strict", "--repo"])
        .arg(extended.path())
        .assert()
        .success()
        .stdout("apps, infra: valid\n");
    let broken = common::repository();
    let release = "kubernetes/bases/cilium/release.yaml";
    common::edit(&broken, release, "kubeProxyReplacement: true", "kubeProxyReplacement: [maybe]");
    common::edit(&broken, "kubernetes/bases/coredns/source.yaml", "tag: 1.47.0", "tag: 1.47.9");
    sandbox
        .bare(&["validate", "infra", "--charts", "--sandbox", "--repo"])
        .arg(broken.path())
        .assert()
        .code(3)
        .stdout(
            contains("values-refused")
                .and(contains("'/kubeProxyReplacement': got array, want boolean or string"))
                .and(contains("chart-unfetchable"))
                .and(contains("coredns:1.47.9: not found")),
        );
}

/// What `validate` takes charts to bring that nobody rendered is what they bring.
async fn the_table_of_charts_agrees_with_what_they_render(sandbox: &Sandbox) {
    let state = std::fs::read(sandbox.folder().join("sandbox.json")).unwrap();
    let environment = serde_json::from_slice::<bootstrapper::sandbox::Sandbox>(&state).unwrap().environment;
    let kustomize = Kustomize::find(&environment).unwrap();
    let helm = Helm::find(&environment).await.unwrap();
    let repository = Repository::open(root()).unwrap();
    let mut declared = repository.load("infra", &kustomize, &SecretValues::new()).await.unwrap();
    declared.renderings = renderings(&declared.releases, &environment, Some(&helm)).await;
    assert_eq!(declared.renderings.len(), declared.releases.len());
    // Its stand-in has no CRDs.
    declared.renderings.retain(|id, _| id.name != "dragonfly-operator");
    assert_eq!(charts_known_otherwise(&declared), Vec::<String>::new());
}

/// A run that is killed in the middle is finished by the next one; a supervisor that is killed is
/// cleaned up by the next `up`; and what fails later is reconciled.
#[tokio::test(flavor = "multi_thread")]
async fn apps_survives_being_killed() {
    let mut sandbox = Sandbox::new("apps");
    sandbox.copy = Some(reconcile::repository());
    sandbox.run(&["sandbox", "up", "apps"]).assert().success();
    let supervisor: u32 =
        std::fs::read_to_string(sandbox.folder().join("supervisor.pid")).unwrap().trim().parse().unwrap();
    signal("-KILL", supervisor);
    // A process that is killed is not gone at once.
    let is_seen = async || {
        let list = sandbox.bare(&["sandbox", "list"]).output().unwrap();
        let told = String::from_utf8(list.stdout).unwrap();
        (told.contains("apps") && told.contains("crashed")).then_some(()).ok_or(told)
    };
    is_seen.retry(ConstantBuilder::default().with_max_times(30)).await.unwrap();
    sandbox.run(&["sandbox", "up", "apps"]).assert().success();

    reconcile::without_flux_it_says_so(&sandbox);

    // Stopped on request: what is in flight comes to an end, and the lock is given back.
    let mut run = sandbox.started_run("apps", |line| line.contains("step-acted"));
    signal("-INT", run.id());
    assert_eq!(run.wait().unwrap().code(), Some(130));
    let cluster = sandbox.cluster().await;
    let lock = ObjectRef::namespaced("coordination.k8s.io/v1", "Lease", "kube-system", "bootstrapper-lock");
    assert!(cluster.get(&lock).await.unwrap().unwrap().data["spec"]["holderIdentity"].is_null());

    // Killed as Cilium's release is just being made: it may be half done.
    let mut run =
        sandbox.started_run("apps", |line| line.contains("release-cilium") && line.contains("step-said"));
    run.kill().unwrap();
    run.wait().unwrap();

    sandbox
        .run(&["apps", "--sandbox", "--until", "flux", "--progress", "plain"])
        .timeout(Duration::from_mins(10))
        .assert()
        .success();
    handover::a_difference_is_told_before_flux_acts(&sandbox, &cluster).await;

    let mut run = sandbox.started_run("apps", |line| line.contains("adoption-forecast"));
    handover::controllers_are_killed_as_they_take_over_themselves(&sandbox, &cluster).await;
    assert!(run.wait().unwrap().success());
    handover::they_took_over_all_the_same(&sandbox, &cluster).await;
    let releases = cluster.list(&Selection::of("helm.toolkit.fluxcd.io/v2", "HelmRelease")).await.unwrap();
    assert!(releases.iter().all(|release| readiness::verdict(release).is_ready()));

    reconcile::what_failed_is_reconciled_long_before_its_interval(&sandbox, &cluster).await;
}

/// PATH with a helm that says that it is 3.10.
fn with_an_old_helm(folder: &Path) -> std::ffi::OsString {
    use std::os::unix::fs::PermissionsExt as _;
    let bin = folder.join("old");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::write(bin.join("helm"), "#!/bin/sh\necho v3.10.0\n").unwrap();
    std::fs::set_permissions(bin.join("helm"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let rest = [common::programs().to_owned()];
    let path = std::env::var_os("PATH").unwrap();
    std::env::join_paths([bin].into_iter().chain(rest).chain(std::env::split_paths(&path))).unwrap()
}

fn without_credentials(kubeconfig: &Path, folder: &Path) -> PathBuf {
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(kubeconfig).unwrap()).unwrap();
    config["users"][0]["user"] = json!({"token": "nobody"});
    let file = folder.join("stranger");
    std::fs::write(&file, config.to_string()).unwrap();
    file
}

/// Every pod by its uid, and every release by its newest revision.
async fn fingerprint(cluster: &Cluster) -> BTreeMap<String, String> {
    let mut print = BTreeMap::new();
    for pod in cluster.list(&Selection::of("v1", "Pod")).await.unwrap() {
        print.insert(ObjectRef::of(&pod).to_string(), pod.metadata.uid.unwrap());
    }
    for secret in cluster.list(&Selection::of("v1", "Secret").labelled("owner=helm")).await.unwrap() {
        print.insert(ObjectRef::of(&secret).to_string(), secret.metadata.uid.unwrap());
    }
    print
}

fn config_map(name: &str, value: &str) -> Object {
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": {"key": value},
    }))
    .unwrap()
}

/// The same, to be applied.
fn written(name: &str, value: &str) -> Complete<Object> {
    Complete::of_own(config_map(name, value))
}

/// A client that is not the program's own.
async fn another_client(cluster: &Cluster) -> kube::Client {
    let kubeconfig =
        kube::config::Kubeconfig::read_from(cluster.access().kubeconfig.as_ref().unwrap()).unwrap();
    let config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default())
            .await
            .unwrap();
    kube::Client::try_from(config).unwrap()
}

/// Another field manager.
async fn somebody_else_writes(cluster: &Cluster, name: &str) {
    let client = another_client(cluster).await;
    let maps: kube::Api<k8s_openapi::api::core::v1::ConfigMap> = kube::Api::namespaced(client, "default");
    let by_another = kube::api::PatchParams { field_manager: Some("somebody".into()), ..Default::default() };
    maps.patch(name, &by_another, &kube::api::Patch::Merge(json!({"data": {"key": "theirs"}})))
        .await
        .unwrap();
}

/// kstatus itself judges every object that is there.
async fn a_live_cluster_is_judged_as_flux_judges_it(cluster: &Cluster) {
    let client = another_client(cluster).await;
    let discovery = kube::Discovery::new(client.clone()).run().await.unwrap();
    let mut objects = Vec::new();
    for (kind, able) in discovery.groups().flat_map(kube::discovery::ApiGroup::recommended_resources) {
        if able.supports_operation(kube::discovery::verbs::LIST) {
            let all: kube::Api<Object> = kube::Api::all_with(client.clone(), &kind);
            for mut object in all.list(&kube::api::ListParams::default()).await.unwrap() {
                object.types = Some(kube::core::TypeMeta {
                    api_version: kind.api_version.clone(),
                    kind: kind.kind.clone(),
                });
                objects.push(serde_json::to_value(object).unwrap());
            }
        }
    }
    let answers = kstatus::compared(&objects);
    assert!(answers.len() > 500, "{}", answers.len());
    let different = answers.iter().filter_map(kstatus::Answer::difference).collect();
    common::oracle::assert_none_differs(different, answers.len());
}

/// The operator looks for the Gateway API once: a CRD that comes later is none to it.
async fn an_operator_that_came_too_early_is_restarted(sandbox: &Sandbox, cluster: &Cluster) {
    let definition =
        |name: &str| ObjectRef::cluster_scoped("apiextensions.k8s.io/v1", "CustomResourceDefinition", name);
    let late = definition("backendtlspolicies.gateway.networking.k8s.io");
    let uid = async || cluster.get(&late).await.unwrap().map(|crd| crd.metadata.uid.unwrap());
    let before = uid().await.unwrap();
    cluster.delete(&late).await.unwrap();
    let kind = kube::core::GroupVersionKind::gvk("kustomize.toolkit.fluxcd.io", "v1", "Kustomization");
    let kustomizations: kube::Api<Object> = kube::Api::namespaced_with(
        another_client(cluster).await,
        "flux-system",
        &kube::core::ApiResource::from_gvk(&kind),
    );
    let again = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}});
    kustomizations
        .patch("gateway-api-crds", &kube::api::PatchParams::default(), &kube::api::Patch::Merge(again))
        .await
        .unwrap();
    let mut states = cluster.follow(vec![late.clone()]);
    let is_back =
        |crd: &Object| crd.metadata.uid.as_ref() != Some(&before) && readiness::verdict(crd).is_ready();
    while !states.next().await.unwrap().unwrap()[&late].as_deref().is_some_and(is_back) {}

    let writes = sandbox.writes().len();
    sandbox.run(&["infra", "--sandbox", "--progress", "plain"]).assert().success().stderr(
        contains("restarting Pod kube-system/cilium-operator").and(contains("before backendtlspolicies")),
    );
    let written: Vec<_> = sandbox.writes().split_off(writes);
    assert!(
        written
            .iter()
            .any(|write| write.starts_with("\"delete\"") && write.contains("/pods/cilium-operator")),
        "{written:?}"
    );
}

async fn a_conflict_is_shown_and_taken_over_only_by_force(cluster: &Cluster) {
    let id = ObjectRef::of(&config_map("contested", ""));
    assert_eq!(cluster.apply(&written("contested", "ours"), false).await.unwrap(), Comparison::Created);
    assert_eq!(cluster.apply(&written("contested", "ours"), false).await.unwrap(), Comparison::Unchanged);
    somebody_else_writes(cluster, "contested").await;
    let Comparison::Conflict(owners) = cluster.apply(&written("contested", "ours"), false).await.unwrap()
    else {
        panic!("no conflict");
    };
    assert!(owners[0].contains(".data.key is owned by somebody"), "{owners:?}");
    assert_eq!(cluster.get(&id).await.unwrap().unwrap().data["data"]["key"], "theirs");
    assert!(matches!(
        cluster.apply(&written("contested", "ours"), true).await.unwrap(),
        Comparison::Configured(_)
    ));
    assert_eq!(cluster.get(&id).await.unwrap().unwrap().data["data"]["key"], "ours");
}

/// The object is not there yet, comes, goes, and comes back; its kind may come later, too.
async fn a_watch_needs_no_luck(cluster: &Cluster) {
    let id = ObjectRef::of(&config_map("elusive", ""));
    let mut states = cluster.follow(vec![id.clone()]);
    let mut next = async || states.next().await.unwrap().unwrap()[&id].clone();
    assert!(next().await.is_none());
    cluster.apply(&written("elusive", "1"), false).await.unwrap();
    assert!(next().await.is_some());
    cluster.delete(&id).await.unwrap();
    assert!(next().await.is_none());
    cluster.apply(&written("elusive", "2"), false).await.unwrap();
    assert_eq!(next().await.unwrap().data["data"]["key"], "2");

    let thing = ObjectRef::cluster_scoped("example.org/v1", "Thing", "first");
    let mut states = cluster.follow(vec![thing.clone()]);
    assert!(states.next().await.unwrap().unwrap()[&thing].is_none());
    let crd = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.example.org"},
        "spec": {"group": "example.org", "scope": "Cluster", "names": {"kind": "Thing", "plural": "things"}, "versions": [
            {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}]},
    });
    cluster.apply(&Complete::of_own(serde_json::from_value(crd).unwrap()), false).await.unwrap();
    let object: Object = serde_json::from_value(
        json!({"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "first"}}),
    )
    .unwrap();
    let mut established = cluster.follow(vec![ObjectRef::cluster_scoped(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "things.example.org",
    )]);
    while !established
        .next()
        .await
        .unwrap()
        .unwrap()
        .values()
        .all(|crd| crd.as_ref().is_some_and(|crd| readiness::verdict(crd).is_ready()))
    {}
    cluster.apply(&Complete::of_own(object), false).await.unwrap();
    while states.next().await.unwrap().unwrap()[&thing].is_none() {}
}
