//! A marker in every source of secrets, and every verb and failure played on a real API server: no marker is
//! in anything that comes out, stays on the disk or in the cluster, or reaches a program that does not need
//! it; and another user can open nothing, though the umask takes no right from anybody.

mod manifests;
mod needles;
mod processes;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bootstrapper::cluster::{Cluster, ConnectOptions};
use bootstrapper::object::{Complete, Object, ObjectRef, Selection};
use bootstrapper::sandbox::Sandbox;
use serde_json::{Value, json};
use tempfile::TempDir;

use self::manifests::{FAILING, FLUX, RELEASES, TASKS, of_flux, release, secret, settings};
use self::needles::{AGE, Needles, PIN, marker};
use self::processes::{NEEDED, Poll, Process, TRIAL, noting};
use super::private::{Watcher, program, write};
use crate::common::charts::Charts;
use crate::common::{self, oracle, programs, sync};
use crate::proxy::{Fate, Proxy, Weather, fair};

const CLUSTER: &str = "markers";

/// The repository, its cluster, and a person's machine.
struct Play {
    root: TempDir,
    state: TempDir,
    needles: Needles,
    charts: Charts,
    network: BTreeMap<String, String>,
    /// What was found where it may not be.
    found: Mutex<Vec<String>>,
    verbs: AtomicU32,
}

impl Drop for Play {
    fn drop(&mut self) {
        let mut down = common::bootstrapper();
        let _ =
            down.env("BOOTSTRAPPER_STATE_DIR", self.state.path()).args(["sandbox", "down", CLUSTER]).output();
    }
}

impl Play {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        for (folder, mode) in
            [("tmp", 0o1777), ("cache", 0o755), ("state", 0o755), ("home", 0o755), ("noted", 0o700)]
        {
            fs::create_dir(root.path().join(folder)).unwrap();
            fs::set_permissions(root.path().join(folder), Permissions::from_mode(mode)).unwrap();
        }
        let sops = oracle::programs("sops");
        let keys = root.path().join("keys.txt");
        assert!(
            Command::new(sops.join("age-keygen")).arg("-o").arg(&keys).output().unwrap().status.success()
        );
        let age = fs::read_to_string(&keys).unwrap();
        let age = age.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap();
        fs::write(&keys, age).unwrap();
        let play = Self {
            needles: Needles::new(age),
            charts: Charts::serve_to(Some(("reader", marker("registry")))),
            root,
            state: tempfile::tempdir().unwrap(),
            network: BTreeMap::new(),
            found: Mutex::default(),
            verbs: AtomicU32::new(0),
        };
        play.write_programs(&sops);
        play.write_repository(&sops);
        play
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn in_repository(&self, name: &str) -> PathBuf {
        self.at("repository").join(name)
    }

    fn write_programs(&self, sops: &Path) {
        let usual = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|folder| folder.join("git"))
            .find(|file| file.is_file());
        let real = |name: &str| format!("exec {}/{name} \"$@\"", programs().display());
        let mut all = vec![
            ("helm", real("helm")),
            ("kustomize", real("kustomize")),
            ("sops", format!("exec {}/sops \"$@\"", sops.display())),
            ("op", format!("cat <<'END' | tr -d '\\n'\n{}\nEND", marker("op"))),
            (
                "plugin.sh",
                format!(
                    "echo '{{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"kind\": \"ExecCredential\", \"status\": {{\"token\": \"{}\"}}}}'",
                    marker("plugin")
                ),
            ),
        ];
        all.extend(usual.map(|git| ("git", format!("exec {} \"$@\"", git.display()))));
        for (name, goes_on) in all {
            program(&self.at("bin").join(name), &noting(name, self.root.path(), &goes_on));
        }
        program(&self.in_repository("scripts/own.sh"), &noting("own", self.root.path(), "true"));
        // With what a chart was given, and what this machine has.
        program(
            &self.in_repository("scripts/spills.sh"),
            "helm get values --namespace app seen >&2\nenv >&2\necho \"$MARKER_ENV\" >&2\nexit 1\n",
        );
    }

    fn write_repository(&self, sops: &Path) {
        let url = &self.charts.url;
        let charts = format!(
            "---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {{name: charts, namespace: app}}\nspec: {{interval: 1h, url: '{url}', secretRef: {{name: registry}}, passCredentials: true}}\n"
        );
        let git = sync("./clusters/markers").replace("git.invalid/home", "git.example.org/markers.git");
        let files = [
            (
                "clusters/markers/flux-system/gotk-sync.yaml",
                git + "  decryption: {provider: sops, secretRef: {name: sops-age}}\n",
            ),
            (
                "clusters/markers/flux.yaml",
                [
                    FLUX.to_owned(),
                    of_flux("flux-operator", "{installCRDs: true}"),
                    of_flux(
                        "flux-instance",
                        "{instance: {distribution: {version: 2.x, registry: ghcr.io/fluxcd}}}",
                    ),
                ]
                .concat(),
            ),
            (
                "clusters/markers/app.yaml",
                [RELEASES.to_owned(), charts, release("seen", "seen", "charts", "password")].concat(),
            ),
            ("app/kustomization.yaml", "resources: [settings.yaml]\n".to_owned()),
            ("app/settings.yaml", settings("-${PIN}-")),
            ("tasks/bootstrap.yaml", TASKS.to_owned()),
            ("bootstrapper.yaml", self.config().to_string()),
        ];
        for (file, text) in files {
            write(&self.in_repository(file), &text);
        }
        for (file, object) in [
            (
                "clusters/markers/variables.yaml",
                secret("variables", "flux-system", &json!({"DOMAIN": marker("substitution"), "PIN": PIN.1})),
            ),
            ("clusters/markers/whole.yaml", secret("whole", "app", &json!({"password": marker("values")}))),
            (
                "clusters/markers/registry.yaml",
                secret("registry", "app", &json!({"username": "reader", "password": marker("registry")})),
            ),
        ] {
            let file = self.in_repository(file);
            write(&file, &object.to_string());
            let recipient =
                Command::new(sops.join("age-keygen")).arg("-y").arg(self.at("keys.txt")).output().unwrap();
            let recipient = String::from_utf8(recipient.stdout).unwrap();
            let done = Command::new(sops.join("sops"))
                .args(["encrypt", "--in-place", "--age", recipient.trim()])
                .args(["--encrypted-regex", "^(data|stringData)$", "--input-type=yaml", "--output-type=yaml"])
                .arg(&file)
                .output()
                .unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        }
    }

    fn config(&self) -> Value {
        let from = |name: &str, data: Value| json!({"name": name, "namespace": "app", "data": data});
        json!({"clusters": {CLUSTER: {"context": CLUSTER, "secrets": [
            {"name": "sops-age", "namespace": "flux-system", "data": {"age.agekey": {"file": self.at("keys.txt")}}},
            from("from-op", json!({"value": {"op": "op://vault/item/field"}})),
            from("from-env", json!({"value": {"env": "MARKER_ENV"}, "pin": {"env": "MARKER_PIN"}})),
            from("from-cluster", json!({"value": {"env": "NOBODY_HAS_SET_THIS"}})),
        ]}}})
    }

    fn up(&mut self) -> PathBuf {
        let mut up = common::bootstrapper();
        up.env("BOOTSTRAPPER_STATE_DIR", self.state.path()).args(["sandbox", "up", CLUSTER, "--repo"]);
        // Its secrets are not the sandbox's business.
        up.env_remove("BOOTSTRAPPER_TRUST").arg(self.at("repository")).assert().success();
        let folder = self.state.path().join("sandboxes").join(CLUSTER);
        let sandbox: Sandbox =
            serde_json::from_slice(&fs::read(folder.join("sandbox.json")).unwrap()).unwrap();
        self.network = sandbox.environment.variables;
        folder.join("kubeconfig")
    }

    /// Kubeconfigs that lead through a proxy: with a token, and with a plugin that gives one.
    fn write_kubeconfigs(&self, proxy: &Proxy) {
        let through: Value = serde_json::from_str(&proxy.kubeconfig(CLUSTER)).unwrap();
        let plugin = json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never",
            "command": self.at("bin/plugin.sh")}});
        for (name, user) in [("token", json!({"token": marker("kubeconfig")})), ("plugin", plugin)] {
            let mut config = through.clone();
            config["users"][0]["user"] = user;
            fs::write(self.at(name), config.to_string()).unwrap();
        }
    }

    /// Plays a verb with a kubeconfig, if it takes one; its exit code and all that it said.
    fn verb(&self, words: &[&str], kubeconfig: Option<&str>, more: &[(&str, &str)]) -> (i32, String) {
        let path = format!("{}:{}", self.at("bin").display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("sh");
        command
            .args(["-c", "umask 000 && exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_bootstrapper")])
            .args(words)
            .arg("--repo")
            .arg(self.at("repository"))
            .env_clear()
            .envs(&self.network)
            .envs([
                ("PATH", path.as_str()),
                ("NO_COLOR", "1"),
                ("BOOTSTRAPPER_TRUST", "1"),
                (TRIAL, self.trial()),
            ])
            .envs(
                ["HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_STATE_HOME", "BOOTSTRAPPER_STATE_DIR"]
                    .into_iter()
                    .zip(["home", "tmp", "cache", "state", "state"].map(|name| self.at(name))),
            )
            .envs([("MARKER_ENV", marker("env")), ("MARKER_PIN", PIN.1)])
            .envs([
                ("OP_SERVICE_ACCOUNT_TOKEN", marker("op session")),
                ("AWS_SECRET_ACCESS_KEY", marker("cloud")),
            ])
            .envs(more.iter().copied())
            .stdin(Stdio::null());
        if let Some(name) = kubeconfig {
            command.args(["--context", CLUSTER, "--kubeconfig"]).arg(self.at(name));
        }
        let output = command.output().unwrap();
        let said = format!(
            "{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        self.verbs.fetch_add(1, Ordering::SeqCst);
        let what = format!("{words:?} {kubeconfig:?} {more:?}");
        assert!(!said.contains("panicked"), "{what}: {said}");
        let mut found = self.needles.within(&said);
        if more.iter().any(|(name, _)| *name == "BOOTSTRAPPER_LOG") {
            // A log has numbers of its own.
            found.remove(PIN.0);
        }
        for name in found {
            let line = said.lines().find(|line| self.needles.within(line).contains(name)).unwrap_or_default();
            self.find(format!("{what} says {name}: {line}"));
        }
        (output.status.code().unwrap_or(-1), said)
    }

    fn trial(&self) -> &str {
        self.root.path().file_name().unwrap().to_str().unwrap()
    }

    fn find(&self, what: String) {
        self.found.lock().unwrap().push(what);
    }

    fn succeeds(&self, words: &[&str], kubeconfig: Option<&str>, more: &[(&str, &str)]) -> String {
        let (code, said) = self.verb(words, kubeconfig, more);
        assert_eq!(code, 0, "{words:?}: {said}");
        said
    }

    /// A verb that fails for that reason; all that it said.
    fn fails(&self, words: &[&str], more: &[(&str, &str)], because: &str) -> String {
        let (code, said) = self.verb(words, Some("token"), more);
        assert!(code > 0 && said.contains(because), "{words:?}: {code}, and not {because:?}: {said}");
        said
    }

    /// All that stays on the disk.
    fn search_files(&self) {
        let mut count = 0;
        for folder in ["home", "tmp", "cache", "state"] {
            for file in walkdir::WalkDir::new(self.at(folder)).into_iter().map(Result::unwrap) {
                if !file.file_type().is_file() {
                    continue;
                }
                count += 1;
                let bytes = fs::read(file.path()).unwrap();
                let mut text = String::from_utf8_lossy(&bytes).into_owned();
                let mut unpacked = Vec::new();
                if flate2::read::MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked).is_ok() {
                    text.push_str(&String::from_utf8_lossy(&unpacked));
                }
                for name in self.needles.within(&text) {
                    self.find(format!("{} has {name}", file.path().display()));
                }
            }
        }
        assert!(count > 0, "nothing was kept at all");
    }

    /// All that is in the cluster: a marker is where it is declared to be, and nowhere else.
    async fn search_cluster(&self, cluster: &Cluster) {
        let declared: BTreeMap<&str, &[&str]> = BTreeMap::from([
            ("Secret flux-system/sops-age", &[AGE][..]),
            ("Secret flux-system/variables", &["substitution", "pin"]),
            ("Secret app/whole", &["values"]),
            ("Secret app/registry", &["registry"]),
            ("Secret app/from-op", &["op"]),
            ("Secret app/from-env", &["env", "another env", "pin"]),
            ("Secret app/from-cluster", &["cluster"]),
            ("ConfigMap app/settings", &["substitution", "pin"]),
            // The chart puts all its values there.
            ("ConfigMap app/seen", &["values"]),
        ]);
        let everything = cluster.everything(|_| true).await.unwrap();
        let kinds: BTreeSet<(String, String)> = everything
            .objects
            .iter()
            .filter_map(|object| object.types.clone())
            .map(|types| (types.api_version, types.kind))
            .collect();
        let mut seen = BTreeSet::new();
        for (api_version, kind) in kinds {
            for object in cluster.list(&Selection::of(&api_version, &kind)).await.unwrap() {
                let id = ObjectRef::of(&object).to_string();
                let is_release = id.contains("/sh.helm.release.");
                let release = if is_release { unpacked(&object) } else { String::new() };
                let may_be = declared.get(id.as_str()).copied().unwrap_or_default();
                // Helm itself keeps the values, and what they rendered to.
                let may_be = if id.contains("release.v1.seen.") { &["values"] } else { may_be };
                // What is encoded as Secrets are is found as such.
                let text = serde_json::to_string(&object).unwrap() + &release;
                for name in self.needles.within(&text) {
                    if !may_be.contains(&name) {
                        self.find(format!("{id} has {name}"));
                    }
                }
                seen.insert(id);
            }
        }
        for id in declared.keys() {
            assert!(seen.contains(*id), "there is no {id}");
        }
        for id in ["ConfigMap kube-system/bootstrapper", "ConfigMap kube-system/bootstrapper-history"] {
            assert!(seen.contains(id), "there is no {id}");
        }
    }

    /// What programs were given: no marker as a word, and in the environment only what they need.
    fn search_processes(&self, polled: BTreeSet<Process>) {
        let mut all = polled;
        let mut noted = BTreeSet::new();
        for file in fs::read_dir(self.at("noted")).unwrap().map(|file| file.unwrap()) {
            let name = file.file_name().to_string_lossy().into_owned();
            noted.insert(name.rsplit_once('-').unwrap().0.to_owned());
            let bytes = fs::read(file.path()).unwrap();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            for process in text.split("process\n").filter(|text| !text.is_empty()) {
                let (words, environment) = process.split_once("environment\n").unwrap_or((process, ""));
                all.insert(Process { words: words.to_owned(), environment: environment.to_owned() });
            }
        }
        let expected = ["helm", "kustomize", "op", "own", "plugin.sh", "sops"];
        assert!(expected.iter().all(|name| noted.contains(*name)), "{noted:?}");
        let mut got = BTreeSet::new();
        for process in all.into_iter().filter(|one| !one.is_the_run() && !one.is_the_tests()) {
            let name = process.name();
            for marker in self.needles.within(&process.words) {
                self.find(format!("{name} has {marker} as a word: {}", process.words));
            }
            let needed = NEEDED.iter().find(|(of, _)| *of == name).map_or(&[][..], |(_, needed)| needed);
            for marker in self.needles.within(&process.environment) {
                got.insert((name.to_owned(), marker));
                if !needed.contains(&marker) {
                    let line =
                        process.environment.lines().find(|line| self.needles.within(line).contains(marker));
                    self.find(format!("{name} is given {marker}: {line:?} of {}", process.words));
                }
            }
        }
        for (name, marker) in [("sops", AGE), ("op", "op session"), ("own", "cloud"), ("plugin.sh", "cloud")]
        {
            assert!(got.contains(&(name.to_owned(), marker)), "{name} was not seen with {marker}: {got:?}");
        }
    }
}

/// What Helm keeps of a release.
fn unpacked(secret: &Object) -> String {
    let once = STANDARD.decode(secret.data["data"]["release"].as_str().unwrap_or_default()).unwrap();
    let packed = STANDARD.decode(once).unwrap();
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut text).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

/// What the person made before the first run.
async fn write_live(cluster: &Cluster) {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "app"}});
    let live = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "from-cluster", "namespace": "app"},
        "data": {"value": STANDARD.encode(marker("cluster"))}});
    for object in [namespace, live] {
        let object: Object = serde_json::from_value(object).unwrap();
        cluster.apply_as("somebody", &Complete::of_own(object), true).await.unwrap();
    }
}

/// Writes are refused in words that repeat them, or truncated: the lock's and the history's are not.
fn repeating(fate: Fate) -> Weather {
    Arc::new(move |call| {
        let is_meant = call.path.contains("/secrets") && (call.write.is_some() || fate == Fate::Truncated);
        if is_meant { fate } else { Fate::Passes }
    })
}

const TRACE: &[(&str, &str)] = &[("BOOTSTRAPPER_LOG", "trace")];

#[tokio::test(flavor = "multi_thread")]
async fn no_marker_is_found_in_anything_that_leaves_or_stays() {
    let mut play = Play::new();
    let kubeconfig = play.up();
    let proxy = Proxy::in_front_of(&kubeconfig).await;
    play.write_kubeconfigs(&proxy);
    let options = ConnectOptions { kubeconfig: Some(kubeconfig), context: CLUSTER.into() };
    let cluster = Cluster::connect(&options).await.unwrap();
    write_live(&cluster).await;
    let poll = Poll::start(play.trial());

    // Everything that is made meanwhile, another user tries to open.
    let watcher = Watcher::start(play.root.path());
    if watcher.is_some() {
        fs::write(play.at("watched"), "").unwrap();
    }
    play.verb(&["validate", CLUSTER], None, &[]);
    play.succeeds(&["plan", CLUSTER], Some("plugin"), &[]);
    let run = [CLUSTER, "--progress", "plain"];
    // A number is no text: the API server refuses it, and repeats what it was sent.
    write(&play.in_repository("app/settings.yaml"), &settings("${PIN}"));
    play.fails(
        &[&run[..], &["--until", "app/kustomization-app", "--skip", "network"]].concat(),
        TRACE,
        "typed patch",
    );
    write(&play.in_repository("app/settings.yaml"), &settings("-${PIN}-"));
    play.succeeds(&run, Some("token"), TRACE);
    play.succeeds(&["handover", CLUSTER, "--output", "json"], Some("token"), &[]);
    if let Some(watcher) = watcher {
        // Nobody waits for it any more.
        fs::remove_file(play.at("watched")).unwrap();
        assert_eq!(watcher.opened(), BTreeSet::new());
    }

    // A run that finds nothing to do writes nothing, and needs no key.
    proxy.weather(fair());
    play.succeeds(&[CLUSTER, "--progress", "json", "--skip", "app/own"], Some("plugin"), &[]);
    assert_eq!(proxy.writes(), 0);

    for output in [&[][..], &["--output", "json"]] {
        for verb in [
            &["plan", CLUSTER][..],
            &["status", CLUSTER],
            &["handover", CLUSTER],
            &["doctor", CLUSTER],
            &["history", CLUSTER, "--steps"],
            &["clean", CLUSTER, "--dry-run", "--flux-too"],
        ] {
            play.verb(&[verb, output].concat(), Some("token"), if output.is_empty() { TRACE } else { &[] });
        }
        for verb in [&["validate", CLUSTER][..], &["list"], &["trust", "--list"]] {
            play.verb(&[verb, output].concat(), None, TRACE);
        }
    }
    for format in ["text", "mermaid", "svg"] {
        play.verb(&["graph", CLUSTER, "--format", format], None, &[]);
    }
    play.verb(&["clean", CLUSTER, "--yes"], Some("token"), &[]);
    play.verb(&["verify", CLUSTER, "--sandbox"], None, &[]);
    the_digests_are_the_clusters_own(&play, &cluster).await;

    failures_repeat_nothing(&play, &proxy);

    proxy.weather(fair());
    play.search_cluster(&cluster).await;
    play.search_files();
    play.search_processes(poll.end());
    let found = play.found.lock().unwrap();
    assert!(found.is_empty(), "{} verbs:\n{}", play.verbs.load(Ordering::SeqCst), found.join("\n"));
}

/// The history has digests, and whoever reads it has no key to try PINs with.
async fn the_digests_are_the_clusters_own(play: &Play, cluster: &Cluster) {
    let said = play.succeeds(&["history", CLUSTER, "--output", "json"], Some("token"), &[]);
    // What it warns of follows.
    let mut said = serde_json::Deserializer::from_str(&said).into_iter::<Vec<Value>>();
    let history = said.next().unwrap().unwrap();
    let run = history.last().unwrap();
    assert_eq!(run["keyed"], true);
    let steps = run["end"]["steps"].as_array().unwrap();
    let digests: Vec<&str> = steps.iter().filter_map(|step| step["digest"].as_str()).collect();
    assert!(digests.len() > 4 && digests.iter().all(|digest| digest.len() == 64), "{run:#}");
    let key = ObjectRef::namespaced("v1", "Secret", "kube-system", "bootstrapper-history");
    let key = cluster.get(&key).await.unwrap().unwrap();
    let key = STANDARD.decode(key.data["data"]["key"].as_str().unwrap()).unwrap();
    assert_eq!(key.len(), 32);
}

fn failures_repeat_nothing(play: &Play, proxy: &Proxy) {
    // Charts that repeat their values, and a command that shows all it knows.
    let failing = ["failing", "checked"].map(|name| {
        let path = if name == "failing" { "own" } else { "checked" };
        release(name, "refusing", "charts", path)
    });
    write(&play.in_repository("clusters/markers/failing.yaml"), &failing.concat());
    write(&play.in_repository("tasks/bootstrap.yaml"), &format!("{TASKS}{FAILING}"));
    for (only, because) in [
        ("failing/release-failing", "the values are"),
        ("failing/release-checked", "checked"),
        ("failing/spills", "spills.sh"),
    ] {
        let run = [CLUSTER, "--progress", "plain", "--only", only];
        let said = play.fails(&run, &[], because);
        assert!(said.contains("***"), "{only} repeats nothing: {said}");
    }
    play.verb(&["handover", CLUSTER, "--output", "json"], Some("token"), &[]);
    play.verb(&["validate", CLUSTER, "--output", "json"], None, &[]);
    play.verb(&["history", CLUSTER, "--steps"], Some("token"), &[]);
    fs::remove_file(play.in_repository("clusters/markers/failing.yaml")).unwrap();

    // Words that hold a value of a secret are no program's.
    let settings = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "cluster-settings", "namespace": "flux-system"},
        "data": {"ADDRESS": format!("https://me:{}@host.test/", marker("address"))}});
    let addressed = format!(
        "{settings}\n---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {{name: addressed, namespace: app}}\nspec: {{interval: 1h, url: 'https://me:{0}@charts.test/'}}\n---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata: {{name: addressed, namespace: app}}\nspec: {{interval: 1h, url: 'https://me:{0}@git.test/x', ref: {{branch: main}}}}\n{1}",
        marker("address"),
        release("addressed", "seen", "addressed", "password"),
    );
    let file = play.in_repository("clusters/markers/addressed.yaml");
    write(&file, &addressed);
    write(
        &play.in_repository("tasks/bootstrap.yaml"),
        &format!("{TASKS}  - {{name: addressed, steps: [{{release: addressed}}]}}\n"),
    );
    for output in ["text", "json"] {
        play.verb(&["validate", CLUSTER, "--output", output], None, TRACE);
        play.verb(&["plan", CLUSTER, "--output", output], Some("token"), &[]);
    }
    play.verb(&["graph", CLUSTER], None, &[]);
    play.verb(&[CLUSTER, "--only", "addressed/release-addressed"], Some("token"), &[]);
    fs::remove_file(file).unwrap();
    write(&play.in_repository("tasks/bootstrap.yaml"), TASKS);

    // An API server that repeats what it was sent, or stops in the middle.
    let changed: &[(&str, &str)] = &[("MARKER_ENV", marker("another env"))];
    let run = [CLUSTER, "--progress", "plain", "--only", "ground/secrets", "--timeout", "5s"];
    let logged = [changed, TRACE].concat();
    for (fate, more, because, repeats) in [
        (Fate::Repeated(500), &logged[..], "typed patch", true),
        (Fate::Repeated(500), changed, "typed patch", true),
        (Fate::Repeated(422), &logged, "app/from-env", false),
        (Fate::Truncated, &logged, "", false),
    ] {
        proxy.weather(repeating(fate));
        let said = play.fails(&run, more, because);
        assert!(said.contains("***") || !repeats, "{fate:?} repeats nothing: {said}");
    }
    proxy.weather(fair());
    play.succeeds(&run, Some("token"), changed);
}
