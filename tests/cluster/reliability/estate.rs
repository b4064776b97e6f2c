//! What is bootstrapped again and again: a small repository on a real API server, under names of its
//! own each time, so that no trial sees what another left.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bootstrapper::cluster::{Cluster, ConnectOptions};
use bootstrapper::object::{Complete, Object, ObjectRef, Selection};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::common::{self, charts::Charts};
use super::everything::bare;
use super::run::{Ended, Run, none_is_left_of, processes_of, program};
use crate::proxy::Proxy;

const CLUSTER: &str = "estate";

/// How long a run may take in any weather, before it counts as stuck.
pub(crate) const TIMEOUT: Duration = Duration::from_mins(4);

/// A control plane, and a proxy before it. Goes down with the test.
pub(crate) struct Ground {
    state: TempDir,
    charts: Charts,
    pub(crate) proxy: Proxy,
    pub(crate) cluster: Cluster,
    trials: AtomicU32,
}

/// One life of the repository.
pub(crate) struct Trial<'a> {
    ground: &'a Ground,
    name: String,
    repository: TempDir,
    /// Whether something is waited for that only the test brings.
    awaits_guest: bool,
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = self.command(&["sandbox", "down", CLUSTER]).output();
    }
}

impl Ground {
    pub(crate) async fn begin() -> Self {
        let state = tempfile::tempdir().unwrap();
        let repository = tempfile::tempdir().unwrap();
        write(&repository, "clusters/estate/flux-system/gotk-sync.yaml", &common::sync("./clusters/estate"));
        let mut up = common::bootstrapper();
        up.env("BOOTSTRAPPER_STATE_DIR", state.path()).args(["sandbox", "up", CLUSTER, "--repo"]);
        up.arg(repository.path()).assert().success();
        let kubeconfig = kubeconfig_of(&state);
        let proxy = Proxy::in_front_of(&kubeconfig).await;
        let options = ConnectOptions { kubeconfig: Some(kubeconfig), context: CLUSTER.into() };
        let cluster = Cluster::connect(&options).await.unwrap();
        std::fs::write(state.path().join("proxied"), proxy.kubeconfig(CLUSTER)).unwrap();
        Self { state, charts: Charts::serve(), proxy, cluster, trials: AtomicU32::new(0) }
    }

    fn kubeconfig(&self) -> PathBuf {
        kubeconfig_of(&self.state)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> assert_cmd::Command {
        let mut command = common::bootstrapper();
        command.env("BOOTSTRAPPER_STATE_DIR", self.state.path()).args(arguments);
        command
    }

    /// A new life of the repository.
    pub(crate) fn trial(&self) -> Trial<'_> {
        self.trial_that(false)
    }

    /// One whose run waits for a guest: see [`Trial::guest_comes`].
    pub(crate) fn trial_with_guest(&self) -> Trial<'_> {
        self.trial_that(true)
    }

    fn trial_that(&self, awaits_guest: bool) -> Trial<'_> {
        let name = format!("t{}x", self.trials.fetch_add(1, Ordering::Relaxed));
        let trial = Trial { ground: self, name, repository: tempfile::tempdir().unwrap(), awaits_guest };
        trial.write_repository();
        trial
    }
}

impl Trial<'_> {
    fn write_repository(&self) {
        let name = &self.name;
        let url = &self.ground.charts.url;
        let guest = json!({
            "name": "guest",
            "wait": {
                "object": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": name, "name": "guest"},
                "ready": "object.data.has == 'come'",
            },
        });
        let guests: Vec<Value> = if self.awaits_guest { vec![guest] } else { Vec::new() };
        let release = json!({"release": "slow", "await": false});
        let last: Vec<Value> = [release].into_iter().chain(guests).collect();
        let tasks = json!({"stages": [
            {"name": "ground", "steps": [{"namespaces": [name]}, {"secrets": "declared"}]},
            {"name": "kinds", "steps": [{"crds": {"manifest": "kinds.yaml"}}]},
            {"name": "objects", "steps": [{"objects": "objects.yaml"}]},
            {"name": "release", "steps": last},
        ]});
        let group = format!("{name}.test");
        let kind = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("things.{group}")},
            "spec": {"group": group, "scope": "Namespaced", "names": {"kind": "Thing", "plural": "things"},
                "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true}}}]},
        });
        let in_ground = |api_version: &str, kind: &str, name_of: &str, rest: Value| {
            let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name_of, "namespace": name}});
            object.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            object.to_string()
        };
        let objects = [
            in_ground("v1", "ConfigMap", "first", json!({"data": {"a": "1"}})),
            in_ground("v1", "ServiceAccount", "second", json!({})),
            in_ground(
                "v1",
                "Service",
                "third",
                json!({"spec": {"ports": [{"port": 80}], "selector": {"a": "b"}}}),
            ),
            in_ground(&format!("{group}/v1"), "Thing", "fourth", json!({"spec": {"size": 4}})),
        ];
        let config = json!({"clusters": {CLUSTER: {"context": CLUSTER, "secrets": [
            {"name": "token", "namespace": name, "data": {"token": {"env": "TRIAL_TOKEN"}}}]}}});
        let chart = json!({"spec": {"chart": "slow", "version": "1.x", "sourceRef": {"kind": "HelmRepository", "name": "charts"}}});
        let flux = [
            json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository",
                "metadata": {"name": "charts", "namespace": name}, "spec": {"interval": "1h", "url": url}})
            .to_string(),
            json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {"name": "slow", "namespace": name},
                "spec": {"interval": "1h", "chart": chart, "values": {"says": "one"}}})
            .to_string(),
        ];
        for (file, text) in [
            ("clusters/estate/flux-system/gotk-sync.yaml", common::sync("./clusters/estate")),
            ("clusters/estate/release.yaml", flux.join("\n---\n")),
            ("tasks/bootstrap.yaml", tasks.to_string()),
            ("kinds.yaml", kind.to_string()),
            ("objects.yaml", objects.join("\n---\n")),
            ("bootstrapper.yaml", config.to_string()),
        ] {
            write(&self.repository, file, &text);
        }
    }

    /// Starts a run through the proxy.
    pub(crate) fn start(&self) -> Run {
        self.start_by(&self.ground.state.path().join("proxied"))
    }

    /// Starts a run that no weather reaches.
    pub(crate) fn start_directly(&self) -> Run {
        self.start_by(&self.ground.kubeconfig())
    }

    fn start_by(&self, kubeconfig: &Path) -> Run {
        let said = self.repository.path().join("said");
        let mut program = program(&self.name, self.ground.state.path(), &said);
        program.args([CLUSTER, "--context", CLUSTER, "--kubeconfig"]).arg(kubeconfig);
        program.arg("--repo").arg(self.repository.path()).env("TRIAL_TOKEN", "kept");
        Run::start(program)
    }

    /// Runs to the end.
    pub(crate) async fn run(&self) -> Ended {
        self.start().ends(TIMEOUT).await
    }

    /// What the last run told people.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(self.repository.path().join("said")).unwrap_or_default()
    }

    /// Brings what the run waits for.
    pub(crate) async fn guest_comes(&self) {
        let guest = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "guest", "namespace": self.name}, "data": {"has": "come"}});
        self.ground
            .cluster
            .apply(&Complete::of_own(serde_json::from_value(guest).unwrap()), false)
            .await
            .unwrap();
    }

    /// The processes of its runs that are there: id and program.
    pub(crate) fn processes(&self) -> Vec<(u32, String)> {
        processes_of(&self.name)
    }

    /// Returns once none of its processes is left.
    pub(crate) async fn is_over(&self) {
        none_is_left_of(&self.name).await;
    }

    /// All that its runs made, under a name that every trial shares: objects as they are declared and
    /// owned, and the release as it stands.
    pub(crate) async fn end_state(&self) -> BTreeMap<String, Value> {
        let cluster = &self.ground.cluster;
        let mut all = Vec::new();
        for (api_version, kind) in [
            ("v1", "ConfigMap"),
            ("v1", "Secret"),
            ("v1", "Service"),
            ("v1", "ServiceAccount"),
            ("v1", "Pod"),
            (&format!("{}.test/v1", self.name), "Thing"),
        ] {
            all.extend(cluster.list(&Selection::of(api_version, kind).within(&self.name)).await.unwrap());
        }
        let definition = format!("things.{}.test", self.name);
        for id in [
            ObjectRef::cluster_scoped("v1", "Namespace", &self.name),
            ObjectRef::cluster_scoped("apiextensions.k8s.io/v1", "CustomResourceDefinition", &definition),
        ] {
            all.extend(cluster.get(&id).await.unwrap());
        }
        // Kubernetes itself puts them into every namespace, in its own time.
        let is_everyones =
            |object: &Object| matches!(object.metadata.name.as_deref(), Some("kube-root-ca.crt" | "default"));
        let is_helms =
            |object: &Object| object.metadata.name.as_ref().is_some_and(|name| name.starts_with("sh.helm."));
        let mut state: BTreeMap<String, Value> = all
            .into_iter()
            .filter(|object| !is_helms(object) && !is_everyones(object))
            .map(|object| (ObjectRef::of(&object).to_string(), lasting(object)))
            .map(|(id, object)| (self.shared(&id), self.shared_value(&object)))
            .collect();
        let release = cluster.helm_release(&self.name, "slow").await.unwrap().unwrap();
        let told = json!({
            "state": release.state.to_string(), "chart": release.chart_version, "values": release.values,
            "objects": release.objects.iter().map(|object| self.shared(&ObjectRef::of(object).to_string())).collect::<Vec<_>>(),
        });
        state.insert("the release".into(), told);
        state
    }

    /// Every revision of the release: number and state.
    pub(crate) async fn revisions(&self) -> Vec<(u64, String)> {
        let secrets = Selection::of("v1", "Secret").within(&self.name).labelled("owner=helm,name=slow");
        let all = self.ground.cluster.list(&secrets).await.unwrap();
        let mut revisions: Vec<_> = all
            .into_iter()
            .filter_map(|secret| secret.metadata.labels)
            .map(|labels| (labels["version"].parse().unwrap(), labels["status"].clone()))
            .collect();
        revisions.sort();
        revisions
    }

    fn shared(&self, text: &str) -> String {
        text.replace(&self.name, CLUSTER)
    }

    fn shared_value(&self, value: &Value) -> Value {
        serde_json::from_str(&self.shared(&value.to_string())).unwrap()
    }
}

fn kubeconfig_of(state: &TempDir) -> PathBuf {
    state.path().join("sandboxes").join(CLUSTER).join("kubeconfig")
}

fn write(repository: &TempDir, file: &str, text: &str) {
    let path = repository.path().join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Also without the address of a Service, and the process that Helm's release names.
fn lasting(object: Object) -> Value {
    let mut value = bare(object);
    if let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) {
        spec.retain(|name, _| !matches!(name.as_str(), "clusterIP" | "clusterIPs"));
    }
    if let Some(labels) = value["metadata"].get_mut("labels").and_then(Value::as_object_mut) {
        labels.remove("bootstrapper-process");
    }
    value
}
