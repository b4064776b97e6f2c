//! The gallery: failures made on a real control plane, and the line that must be printed first for
//! each; and healthy scenes that are only slow, for which nothing may be called wrong.
//!
//! A scene is a file in `tests/gallery/wrong` or `tests/gallery/well`: objects in a namespace of its
//! own, what is waited for, and what must be said. All share one sandbox, side by side; those that
//! break something for all come after the others, one by one.
//!
//! `SCENE=quota cargo test --test gallery` makes those whose name holds that. With `GALLERY_WRITE`
//! set, the table in `docs/failures/gallery.md` is written anew. `GALLERY_STATE=<folder>` keeps the
//! sandbox in that folder, and uses the one that is there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests")]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bootstrapper::cluster::{Cluster, ConnectOptions};
use bootstrapper::doctor::{self, Budget, Scope};
use bootstrapper::engine::Cause;
use bootstrapper::object::{Object, ObjectRef};
use bootstrapper::{readiness, yaml};
use common::root;
use futures::stream::{self, StreamExt as _};
use kube::api::{DeleteParams, Patch, PatchParams};
use serde::Deserialize;

/// A scene of the gallery.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Scene {
    /// What goes wrong, or goes well, as a person says it.
    what: String,
    /// What is written as real components would write it, since it cannot be had here; none if all is
    /// what real components do.
    #[serde(default)]
    told: Option<String>,
    /// The code of the failure; none if nothing is wrong.
    #[serde(default)]
    code: Option<String>,
    /// The first line; `*` stands for anything. For what is slow: a line that must be said at some time.
    #[serde(default)]
    says: Option<String>,
    /// `Kind/name` of objects of the scene that are waited for; else the whole namespace.
    #[serde(default)]
    about: Vec<String>,
    /// Objects that are there before, outside of the scene.
    #[serde(default)]
    about_others: Vec<ObjectRef>,
    /// Objects, in the order in which they are applied. `$NS` is the scene's namespace.
    #[serde(default)]
    objects: String,
    /// What is done after that.
    #[serde(default)]
    then: Vec<Deed>,
    /// And what undoes it, where others would suffer.
    #[serde(default)]
    after: Vec<Deed>,
    /// It breaks something for all: it comes after the others.
    #[serde(default)]
    alone: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Deed {
    Delete(ObjectRef),
    Patch {
        object: ObjectRef,
        with: serde_json::Value,
    },
    Apply(String),
    /// Until an object is ready.
    Await(ObjectRef),
}

/// How a scene ended.
struct Outcome {
    name: String,
    scene: Scene,
    seconds: f64,
    problem: Option<String>,
}

/// How long the right line may take before the scene counts as failed. No time is asserted: this only
/// ends what would never come.
const PATIENCE: Duration = Duration::from_secs(100);
const LOOK_EVERY: Duration = Duration::from_millis(1500);
const SIDE_BY_SIDE: usize = 10;

fn scenes(folder: &str) -> Vec<(String, Scene)> {
    let wanted = std::env::var("SCENE").unwrap_or_default();
    let folder = root().join("tests/gallery").join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let name = |file: &Path| file.file_stem().unwrap().to_str().unwrap().to_owned();
    files
        .into_iter()
        .filter(|file| name(file).contains(&wanted))
        .map(|file| {
            let text = std::fs::read_to_string(&file).unwrap();
            (name(&file), yaml::from_str(&text, &file).unwrap_or_else(|error| panic!("{error:?}")))
        })
        .collect()
}

/// The repository with what the scenes of Flux build, and the sandbox of it up to Flux.
struct Sandbox {
    state: PathBuf,
    repository: tempfile::TempDir,
    is_kept: bool,
    _folder: Option<tempfile::TempDir>,
}

const NAME: &str = "infra";

impl Sandbox {
    fn up() -> Self {
        let kept = std::env::var_os("GALLERY_STATE").map(PathBuf::from);
        let folder = kept.is_none().then(|| tempfile::tempdir().unwrap());
        let state = kept.clone().unwrap_or_else(|| folder.as_ref().unwrap().path().to_owned());
        let repository = tempfile::tempdir().unwrap();
        for part in ["kubernetes", "tasks"] {
            common::copy_folder(&root().join(part), &repository.path().join(part));
        }
        std::fs::copy(root().join("bootstrapper.yaml"), repository.path().join("bootstrapper.yaml")).unwrap();
        common::copy_folder(&root().join("tests/gallery/git"), &repository.path().join("gallery"));
        let sandbox = Self { state, repository, is_kept: kept.is_some(), _folder: folder };
        sandbox.run(&["sandbox", "up", NAME]).assert().success();
        sandbox
    }

    /// Whatever the scenes need is there: Cilium's operator, CoreDNS, Flux.
    async fn bootstrap(&self) {
        let flux = ObjectRef::namespaced("apps/v1", "Deployment", "flux-system", "helm-controller");
        if self.cluster().await.get(&flux).await.unwrap().is_some() {
            return;
        }
        let until_flux = [NAME, "--sandbox", "--until", "flux", "--progress", "plain"];
        self.run(&until_flux).timeout(Duration::from_mins(15)).assert().success();
    }

    fn run(&self, arguments: &[&str]) -> assert_cmd::Command {
        let mut command = common::bootstrapper();
        command.env("BOOTSTRAPPER_STATE_DIR", &self.state).args(arguments);
        command.arg("--repo").arg(self.repository.path());
        command
    }

    async fn cluster(&self) -> Cluster {
        let kubeconfig = Some(self.state.join("sandboxes").join(NAME).join("kubeconfig"));
        Cluster::connect(&ConnectOptions { kubeconfig, context: NAME.into() }).await.unwrap()
    }

    async fn client(&self) -> kube::Client {
        let file = self.state.join("sandboxes").join(NAME).join("kubeconfig");
        let kubeconfig = kube::config::Kubeconfig::read_from(file).unwrap();
        let options = kube::config::KubeConfigOptions::default();
        kube::Client::try_from(kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap())
            .unwrap()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if !self.is_kept {
            let mut down = common::bootstrapper();
            let _ = down.env("BOOTSTRAPPER_STATE_DIR", &self.state).args(["sandbox", "down", NAME]).output();
        }
    }
}

/// Hands on a scene.
struct Stage {
    cluster: Cluster,
    client: kube::Client,
    /// Where the logs of pods are had.
    kubelet_port: i64,
}

impl Stage {
    async fn api(&self, id: &ObjectRef) -> kube::Api<Object> {
        let (group, version) = id.api_version.split_once('/').unwrap_or(("", &id.api_version));
        let gvk = kube::core::GroupVersionKind::gvk(group, version, &id.kind);
        let found = loop {
            // Kinds of the scene itself are served a moment after their CRD.
            match kube::discovery::pinned_kind(&self.client, &gvk).await {
                Ok(found) => break found,
                Err(_) => tokio::time::sleep(Duration::from_millis(300)).await,
            }
        };
        match &id.namespace {
            Some(namespace) => kube::Api::namespaced_with(self.client.clone(), namespace, &found.0),
            None => kube::Api::all_with(self.client.clone(), &found.0),
        }
    }

    /// Applies objects, and the status that some of them bring.
    async fn apply(&self, objects: &str, namespace: &str) -> Vec<ObjectRef> {
        let text = objects.replace("$NS", namespace).replace("$KUBELET_PORT", &self.kubelet_port.to_string());
        let objects: Vec<Object> = yaml::from_multiple(&text, Path::new("scene")).unwrap();
        let mut refs = Vec::new();
        for mut object in objects {
            let id = ObjectRef::of(&object);
            let api = self.api(&id).await;
            let status = object.data.as_object_mut().and_then(|data| data.remove("status"));
            let parameters = PatchParams::apply("gallery").force();
            let applied = loop {
                match api.patch(&id.name, &parameters, &Patch::Apply(&object)).await {
                    Ok(applied) => break applied,
                    Err(kube::Error::Api(status)) if matches!(status.code, 404 | 500 | 503) => {
                        tokio::time::sleep(Duration::from_millis(300)).await;
                    }
                    Err(error) => panic!("{id}: {error}"),
                }
            };
            drop(applied);
            if let Some(status) = status {
                let status = serde_json::json!({"status": status});
                api.patch_status(&id.name, &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
            }
            refs.push(id);
        }
        refs
    }

    async fn act(&self, deeds: &[Deed], namespace: &str) -> Vec<ObjectRef> {
        let mut refs = Vec::new();
        let here = |id: &ObjectRef| ObjectRef {
            namespace: id.namespace.as_ref().map(|name| name.replace("$NS", namespace)),
            name: id.name.replace("$NS", namespace),
            ..id.clone()
        };
        for deed in deeds {
            match deed {
                Deed::Delete(id) => {
                    let id = here(id);
                    self.api(&id).await.delete(&id.name, &DeleteParams::default()).await.unwrap();
                }
                Deed::Patch { object, with } => {
                    let id = here(object);
                    let patch = Patch::Merge(with);
                    self.api(&id).await.patch(&id.name, &PatchParams::default(), &patch).await.unwrap();
                }
                Deed::Apply(objects) => refs.extend(self.apply(objects, namespace).await),
                Deed::Await(id) => {
                    let mut seen = self.cluster.follow(vec![here(id)]);
                    let is_ready = |object: &Object| readiness::verdict(object).is_ready();
                    while let Some(seen) = seen.next().await {
                        if seen.values().all(|object| object.as_deref().is_some_and(is_ready)) {
                            break;
                        }
                    }
                }
            }
        }
        refs
    }

    async fn play(&self, name: String, scene: Scene) -> Outcome {
        let namespace = format!("g-{name}");
        let labels = format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}, labels: {{gallery: {namespace}}}}}\n"
        );
        self.apply(&labels, &namespace).await;
        let began = Instant::now();
        let mut refs = self.apply(&scene.objects, &namespace).await;
        refs.extend(self.act(&scene.then, &namespace).await);
        let named = |about: &String| {
            let (kind, name) = about.split_once('/').unwrap();
            let name = name.replace("$NS", &namespace);
            refs.iter()
                .find(|id| id.kind == kind && id.name == name)
                .unwrap_or_else(|| panic!("no {about}"))
                .clone()
        };
        let about: Vec<ObjectRef> = scene.about.iter().map(named).chain(scene.about_others.clone()).collect();
        let scope =
            if about.is_empty() { Scope::Namespaces(vec![namespace.clone()]) } else { Scope::Objects(about) };
        let problem = match &scene.code {
            Some(code) => self.names(&scope, code, scene.says.as_deref().unwrap_or("*")).await,
            None => self.stays_calm(&scope, scene.says.as_deref(), &refs).await,
        };
        let seconds = began.elapsed().as_secs_f64();
        self.act(&scene.after, &namespace).await;
        match &problem {
            None => eprintln!("ok   {name} {seconds:.1}s"),
            Some(problem) => eprintln!("FAIL {name} {seconds:.1}s {problem}"),
        }
        Outcome { name, scene, seconds, problem }
    }

    async fn causes(&self, scope: &Scope) -> Vec<Cause> {
        doctor::examine(&self.cluster, scope, Budget::OF_A_PERSON).await.causes
    }

    /// The right line comes first, and nothing else was called wrong before.
    async fn names(&self, scope: &Scope, code: &str, says: &str) -> Option<String> {
        let began = Instant::now();
        let mut last = Vec::new();
        while began.elapsed() < PATIENCE {
            last = self.causes(scope).await;
            let first = last.iter().find(|cause| !cause.passes);
            if first.is_some_and(|first| first.code.as_deref() == Some(code) && is_like(&first.cause, says)) {
                return None;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Some(format!("wanted {code} {says}, last was {last:#?}"))
    }

    /// Nothing is called wrong, from the beginning until all is ready, or until the line was said.
    async fn stays_calm(&self, scope: &Scope, says: Option<&str>, refs: &[ObjectRef]) -> Option<String> {
        let began = Instant::now();
        let mut last = Vec::new();
        let mut was_said = says.is_none();
        while began.elapsed() < PATIENCE {
            last = self.causes(scope).await;
            if let Some(wrong) = last.iter().find(|cause| !cause.passes) {
                return Some(format!("a false alarm: {wrong:#?}"));
            }
            was_said |= says.is_some_and(|says| last.iter().any(|cause| is_like(&cause.cause, says)));
            if was_said && (says.is_some() || self.all_ready(refs).await) {
                return None;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Some(format!("never came to its end; last was {last:#?}"))
    }

    async fn all_ready(&self, refs: &[ObjectRef]) -> bool {
        for id in refs {
            match self.cluster.get(id).await.unwrap() {
                Some(object) if !readiness::verdict(&object).is_ready() => return false,
                Some(_) | None => {}
            }
        }
        true
    }
}

/// `*` stands for anything.
fn is_like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

fn table(outcomes: &[Outcome]) -> String {
    let mut text = "# The gallery\n\n\
        Every failure here was made on the control plane of a [sandbox](../design/sandbox.md) and named by `bootstrapper doctor`; every healthy scene was \
        looked at from its beginning to its end. This table is made by `GALLERY_WRITE=1 cargo test --test gallery`.\n"
        .to_owned();
    let (wrong, well): (Vec<&Outcome>, Vec<&Outcome>) =
        outcomes.iter().partition(|outcome| outcome.scene.code.is_some());
    let good = |outcomes: &[&Outcome]| outcomes.iter().filter(|outcome| outcome.problem.is_none()).count();
    let _ = write!(
        text,
        "\n{} of {} failures are named by the right cause on the first line. ",
        good(&wrong),
        wrong.len()
    );
    let _ = writeln!(text, "{} of {} healthy scenes give no alarm.\n", good(&well), well.len());
    text.push_str("Seconds are from the first object to the line, on a machine with 2 cores that plays ten scenes at once. In scenes marked *told*, something is written as the real component writes it, since it cannot be had here.\n");
    text.push_str("\n| failure | named | first line | seconds | |\n| --- | --- | --- | --- | --- |\n");
    for outcome in &wrong {
        let Scene { what, told, code, says, .. } = &outcome.scene;
        let code = code.as_deref().unwrap_or_default();
        let named = if outcome.problem.is_none() { format!("[{code}]({code}.md)") } else { "no".into() };
        let told = told.as_ref().map_or(String::new(), |why| format!("told: {why}"));
        let line =
            says.as_deref().unwrap_or_default().replace('|', "\\|").replace('*', "…").replace('<', "&lt;");
        let _ = writeln!(text, "| {what} | {named} | {line} | {:.0} | {told} |", outcome.seconds);
    }
    text.push_str("\n| healthy | alarms | said |\n| --- | --- | --- |\n");
    for outcome in &well {
        let alarms = if outcome.problem.is_none() { "none" } else { "yes" };
        let said = outcome.scene.says.as_deref().unwrap_or_default().replace('|', "\\|").replace('*', "…");
        let _ = writeln!(text, "| {} | {alarms} | {said} |", outcome.scene.what);
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "not every scene is named in time yet; `cargo test --test gallery -- --ignored` plays them"]
async fn every_failure_is_named_and_nothing_healthy_is_called_wrong() {
    let sandbox = Sandbox::up();
    sandbox.bootstrap().await;
    let cluster = sandbox.cluster().await;
    let node = cluster.get(&ObjectRef::cluster_scoped("v1", "Node", "infra-1")).await.unwrap().unwrap();
    let kubelet_port = node.data["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"].as_i64().unwrap();
    let stage = Stage { cluster, client: sandbox.client().await, kubelet_port };

    // A cluster that is well is one line.
    sandbox
        .run(&["doctor", NAME, "--sandbox"])
        .assert()
        .success()
        .stdout(predicates::str::contains("infra: nothing is wrong"));

    let all = scenes("wrong").into_iter().chain(scenes("well"));
    let (alone, together): (Vec<_>, Vec<_>) = all.partition(|(_, scene)| scene.alone);
    let mut outcomes: Vec<Outcome> = stream::iter(together)
        .map(|(name, scene)| stage.play(name, scene))
        .buffer_unordered(SIDE_BY_SIDE)
        .collect()
        .await;
    for (name, scene) in alone {
        outcomes.push(stage.play(name, scene).await);
    }
    outcomes.sort_by(|a, b| a.name.cmp(&b.name));

    if std::env::var_os("GALLERY_WRITE").is_some() {
        std::fs::write(root().join("docs/failures/gallery.md"), table(&outcomes)).unwrap();
    }
    let problems: BTreeMap<&str, &String> = outcomes
        .iter()
        .filter_map(|outcome| Some((outcome.name.as_str(), outcome.problem.as_ref()?)))
        .collect();
    let told: Vec<String> = problems.iter().map(|(name, problem)| format!("{name}: {problem}")).collect();
    assert!(problems.is_empty(), "{}", told.join("\n"));
}

#[test]
fn every_scene_is_of_a_known_failure() {
    for (name, scene) in scenes("wrong") {
        let code = scene.code.unwrap_or_else(|| panic!("{name} names no code"));
        assert!(bootstrapper::diagnosis::code_named(&code).is_some(), "{name}: {code}");
        assert!(scene.says.is_some(), "{name} says nothing");
    }
    assert!(scenes("well").iter().all(|(_, scene)| scene.code.is_none()));
}

#[test]
fn the_pages_are_those_of_the_catalogue() {
    for page in bootstrapper::diagnosis::pages() {
        let file = root().join("docs/failures").join(&page.name);
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(written, page.text, "{}: run `bootstrapper explain --write docs/failures`", page.name);
    }
}

/// How many nodes and pods a cluster has whose waiting is measured.
const MANY_NODES: usize = 500;
const MANY_PODS: usize = 5000;

/// What a waiting run, `status` and `doctor` cost on a large cluster: requests and memory.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: cargo test --test gallery -- --ignored --nocapture"]
async fn what_waiting_costs_on_a_large_cluster() {
    let sandbox = Sandbox::up();
    sandbox.bootstrap().await;
    let client = sandbox.client().await;
    let nodes: kube::Api<Object> = kube::Api::all_with(client.clone(), &kind("v1", "Node", "nodes"));
    let pods: kube::Api<Object> =
        kube::Api::namespaced_with(client.clone(), "default", &kind("v1", "Pod", "pods"));
    let node = |number: usize| {
        serde_json::json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("many-{number}")},
        "status": {"allocatable": {"cpu": "8", "memory": "32Gi", "pods": "110"}, "conditions": [{"type": "Ready", "status": "True"}]}})
    };
    let pod = |number: usize| {
        serde_json::json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("many-{number}"), "namespace": "default"},
        "spec": {"nodeName": format!("many-{}", number % MANY_NODES), "containers": [{"name": "app", "image": "example.org/app:1"}]}})
    };
    create(&nodes, (0..MANY_NODES).map(node)).await;
    create(&pods, (0..MANY_PODS).map(pod)).await;

    // CoreDNS cannot start: the step that waits for it waits until its timeout.
    let stage = Stage { cluster: sandbox.cluster().await, client, kubelet_port: 0 };
    let dns = ObjectRef::namespaced("apps/v1", "Deployment", "kube-system", "coredns");
    let image = |image: &str| serde_json::json!({"spec": {"template": {"spec": {"containers": [{"name": "coredns", "image": image}]}}}});
    let deployments = stage.api(&dns).await;
    let broken = Patch::Strategic(image("docker.io/sandbox/shell:absent"));
    deployments.patch(&dns.name, &PatchParams::default(), &broken).await.unwrap();
    for arguments in [
        vec!["doctor", NAME, "--sandbox"],
        vec!["status", NAME, "--sandbox"],
        vec![NAME, "--sandbox", "--only", "core", "--timeout", "3m", "--progress", "plain"],
    ] {
        let (seconds, requests, peak) = sandbox.measure(&arguments);
        eprintln!("{}: {seconds:.1} s, {requests} requests, {peak} kB at most", arguments.join(" "));
    }
}

fn kind(api_version: &str, kind: &str, plural: &str) -> kube::core::ApiResource {
    kube::core::ApiResource {
        group: String::new(),
        version: api_version.into(),
        api_version: api_version.into(),
        kind: kind.into(),
        plural: plural.into(),
    }
}

async fn create(api: &kube::Api<Object>, objects: impl Iterator<Item = serde_json::Value>) {
    let objects = objects.map(|object| serde_json::from_value::<Object>(object).unwrap());
    let create = |object: Object| async move {
        match api.create(&kube::api::PostParams::default(), &object).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            other => drop(other.unwrap()),
        }
    };
    stream::iter(objects).map(create).buffer_unordered(16).collect::<Vec<()>>().await;
}

impl Sandbox {
    /// Seconds, requests by the audit log, and the most memory in kB of a run of the program.
    fn measure(&self, arguments: &[&str]) -> (f64, usize, u64) {
        let log = self.state.join("sandboxes").join(NAME).join("logs/audit.log");
        let asked = || {
            let log = std::fs::read_to_string(&log).unwrap();
            log.lines().filter(|line| line.contains("\"user\":{\"username\":\"admin\"")).count()
        };
        let (before, began) = (asked(), Instant::now());
        let path = common::programs().display().to_string();
        let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_bootstrapper"))
            .args(arguments)
            .arg("--repo")
            .arg(self.repository.path())
            .env("BOOTSTRAPPER_STATE_DIR", &self.state)
            .env("PATH", format!("{path}:{}", std::env::var("PATH").unwrap()))
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let mut peak = 0;
        while run.try_wait().unwrap().is_none() {
            let status = std::fs::read_to_string(format!("/proc/{}/status", run.id())).unwrap_or_default();
            let high = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
            peak = peak.max(high.trim().trim_end_matches(" kB").parse().unwrap_or(0));
            std::thread::sleep(Duration::from_millis(100));
        }
        (began.elapsed().as_secs_f64(), asked() - before, peak)
    }
}
