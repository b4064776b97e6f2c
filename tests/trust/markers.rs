//! A marker in every source of secrets, and every verb and failure played on a real API server: no marker is
//! in anything that comes out, stays on the disk or in the cluster, or reaches a program that does not need
//! it; and another user can open nothing, though the umask takes no right from anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bootstrapper::cluster::{Cluster, ConnectOptions};
use bootstrapper::object::{Complete, Object, ObjectRef, Selection};
use bootstrapper::sandbox::Sandbox;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::private::{Watcher, program, write};
use super::proxy::{Fate, Proxy, Weather, fair};
use crate::common::charts::Charts;
use crate::common::{self, oracle, programs, sync};

const CLUSTER: &str = "markers";

/// By the name of its source. What servers, programs and charts like to quote is in it.
const MARKERS: [(&str, &str); 12] = [
    ("op", "Vq7x2Lm9Zk \"op/4+r\\1e§"),
    ("env", "Hs4k8Tq1Wn \"env/7+c\\2d§"),
    ("another env", "Bd9f3Rz6Yp \"env/5+a\\8b§"),
    ("cluster", "Kc2m7Xv5Jt \"live/9+e\\3f§"),
    ("substitution", "Gn6w1Pb8Ls-substituted"),
    ("values", "Fz3q9Dh4Mk-values/2+b"),
    ("registry", "Tj8v5Cx2Rw-registry/6+d"),
    ("address", "Wy1p7Ns4Qg-address"),
    ("kubeconfig", "Lr5t3Kz9Hb-token"),
    ("plugin", "Qe4x8Vf6Jn-plugin"),
    ("op session", "Zm2d6Gk1Sc-session"),
    ("cloud", "Px9b4Wt7Fy-cloud"),
];

/// The key that decrypts; its value is made for the test.
const AGE: &str = "age key";

/// So short that all there are can be tried.
const PIN: (&str, &str) = ("pin", "804173");

/// What each program that gets markers in its environment needs. A program of the person's own gets what
/// theirs do.
const NEEDED: [(&str, &[&str]); 5] = [
    ("sops", &[AGE, "cloud"]),
    ("op", &["op session"]),
    ("own", &["op session", "cloud"]),
    ("plugin", &["op session", "cloud"]),
    ("plugin.sh", &["op session", "cloud"]),
];

fn marker(name: &str) -> &'static str {
    MARKERS.iter().find(|(of, _)| *of == name).unwrap().1
}

/// A value as servers, charts, programs and files may repeat it.
fn forms(value: &str) -> BTreeSet<String> {
    let json = serde_json::to_string(value).unwrap();
    let twice = serde_json::to_string(&json).unwrap();
    let mut percent = String::new();
    let mut hex = String::new();
    for byte in value.bytes() {
        let _ = write!(percent, "%{byte:02X}");
        let _ = write!(hex, "{byte:02x}");
    }
    let inner = |text: &str, ends: usize| text[ends..text.len() - ends].to_owned();
    let mut forms = BTreeSet::from([
        value.to_owned(),
        value.chars().take(10).collect(),
        inner(&json, 1),
        inner(&twice, 3),
        percent.to_lowercase(),
        percent,
        hex.to_uppercase(),
        hex,
        url::form_urlencoded::byte_serialize(value.as_bytes()).collect(),
        STANDARD.encode(STANDARD.encode(value)).trim_end_matches('=').to_owned(),
    ]);
    for before in 0..3 {
        for encoded in
            [STANDARD.encode(" ".repeat(before) + value), URL_SAFE.encode(" ".repeat(before) + value)]
        {
            // What depends on nothing but the value.
            forms.insert(encoded[4 * usize::from(before > 0)..encoded.len() - 4].to_owned());
        }
    }
    forms
}

/// What to look for, by the name of the source.
struct Needles {
    of_markers: Vec<(String, BTreeSet<String>)>,
}

impl Needles {
    fn new(age: &str) -> Self {
        let all = MARKERS.into_iter().chain([(AGE, age)]);
        Self { of_markers: all.map(|(name, value)| (name.to_owned(), forms(value))).collect() }
    }

    /// The sources of which something is in a text.
    fn within(&self, text: &str) -> BTreeSet<&str> {
        let has = |forms: &BTreeSet<String>| forms.iter().any(|form| text.contains(form));
        let mut found: BTreeSet<&str> =
            self.of_markers.iter().filter(|(_, forms)| has(forms)).map(|(name, _)| name.as_str()).collect();
        let is_word = |at: usize| {
            let around = [text[..at].chars().next_back(), text[at + PIN.1.len()..].chars().next()];
            // Digits of a time are none.
            around.into_iter().flatten().all(|one| !one.is_alphanumeric() && one != '.')
        };
        if text.match_indices(PIN.1).any(|(at, _)| is_word(at)) || text.contains(&STANDARD.encode(PIN.1)) {
            found.insert(PIN.0);
        }
        found
    }
}

const TASKS: &str = "
stages:
  - name: ground
    steps: [{namespaces: declared}, {secrets: declared}]
  - name: network
    steps: [{release: cilium, await: false}]
  - name: app
    steps:
      - kustomization: app
      - release: seen
      - {name: own, command: [scripts/own.sh, '{{cluster}}']}
  - name: flux
    steps: [{release: flux-operator}, {release: flux-instance}, {wait: {probe: flux.controllers}}]
  - name: sync
    steps: [{adoption: foretold}, {source: declared}, {sync: declared}]
  - name: handover
    steps: [{handover: declared}, {adoption: confirmed}]
";

/// What is appended for a while: whatever runs fails, and repeats secrets.
const FAILING: &str = "
  - name: failing
    parallel: true
    steps:
      - release: failing
      - release: checked
      - {name: spills, command: [scripts/spills.sh]}
";

const FLUX: &str = "
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {name: cilium, namespace: kube-system}
spec: {type: oci, interval: 24h, url: 'oci://quay.io/cilium/charts'}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: cilium, namespace: kube-system}
spec:
  interval: 30m
  chart: {spec: {chart: cilium, version: 1.20.x, sourceRef: {kind: HelmRepository, name: cilium}}}
  values: {cluster: {name: markers, id: 1}}
";

const RELEASES: &str = "
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: app, namespace: flux-system}
spec:
  interval: 10m
  path: ./app
  prune: true
  sourceRef: {kind: GitRepository, name: flux-system}
  decryption: {provider: sops, secretRef: {name: sops-age}}
  postBuild: {substituteFrom: [{kind: Secret, name: variables}]}
---
apiVersion: v1
kind: Namespace
metadata: {name: app}
";

/// A HelmRelease in the namespace `app`, with the password of Secret `whole` at `path`.
fn release(name: &str, chart: &str, source: &str, path: &str) -> String {
    format!(
        "---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: {name}, namespace: app}}
spec:
  interval: 1h
  chart: {{spec: {{chart: {chart}, version: 1.x, sourceRef: {{kind: HelmRepository, name: {source}}}}}}}
  valuesFrom: [{{kind: Secret, name: whole, valuesKey: password, targetPath: {path}}}]
"
    )
}

fn of_flux(name: &str, values: &str) -> String {
    format!(
        "---
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {{name: {name}, namespace: flux-system}}
spec:
  interval: 1h
  url: oci://ghcr.io/controlplaneio-fluxcd/charts/{name}
  ref: {{tag: 0.58.1}}
  layerSelector: {{mediaType: application/vnd.cncf.helm.chart.content.v1.tar+gzip, operation: copy}}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: {name}, namespace: flux-system}}
spec:
  interval: 1h
  chartRef: {{kind: OCIRepository, name: {name}}}
  releaseName: {name}
  values: {values}
"
    )
}

fn secret(name: &str, namespace: &str, data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "stringData": data})
}

/// Whoever declares this has secrets in a ConfigMap, and wants that.
fn settings(word: &str) -> String {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "app"},
        "data": {"address": "https://${DOMAIN}/", "pin": "x${PIN}y", "word": word}})
    .to_string()
}

/// A program that others stand behind: it notes what it and its guard were given, lets another user look, and
/// goes on as itself.
fn noting(name: &str, root: &Path, goes_on: &str) -> String {
    format!(
        "note={root}/noted/{name}-$$
for process in $$ $PPID; do
  echo process; tr '\\0' '\\n' < /proc/$process/cmdline
  echo environment; tr '\\0' '\\n' < /proc/$process/environ
done > $note.new 2> /dev/null
mv $note.new $note
was=$(cat {root}/passes 2> /dev/null || echo 0)
until [ ! -e {root}/watched ] || [ \"$(cat {root}/passes)\" -ge $((was + 2)) ]; do :; done
{goes_on}
",
        root = root.display()
    )
}

/// A process that a run started, as it was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Process {
    words: String,
    environment: String,
}

impl Process {
    /// What it is called here: a guard, and a shell that stands before a program, are that program.
    fn name(&self) -> &str {
        if self.environment.lines().any(|line| line.starts_with("BOOTSTRAPPER_CLUSTER=")) {
            return "own";
        }
        let known = ["plugin.sh", "sops", "op", "helm", "kustomize", "git"];
        let words = || self.words.lines().map(|word| word.rsplit('/').next().unwrap_or_default());
        known.into_iter().find(|name| words().any(|word| word == *name)).unwrap_or("another program")
    }

    /// One of the programs by which a stand-in takes note, or a process that has ended meanwhile.
    fn is_the_tests(&self) -> bool {
        let program = self.words.lines().next().unwrap_or_default().rsplit('/').next();
        program.is_none_or(|name| matches!(name, "" | "cat" | "mv" | "tr"))
    }

    /// The run itself has what the test gave it.
    fn is_the_run(&self) -> bool {
        let mut words = self.words.lines().skip_while(|word| !word.ends_with("/bootstrapper"));
        words.next().is_some() && !matches!(words.next(), Some("guard" | "post-render"))
    }
}

/// Finds the processes of a trial, all the time.
struct Poll {
    ends: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<BTreeSet<Process>>>,
}

/// Marks the processes of this test.
const TRIAL: &str = "BOOTSTRAPPER_TRIAL";

impl Poll {
    fn start(trial: &str) -> Self {
        let ends = Arc::<AtomicBool>::default();
        let (end, mark) = (Arc::clone(&ends), format!("{TRIAL}={trial}"));
        let looks = move || {
            let mut seen = BTreeSet::new();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let mut next = runtime.block_on(async { tokio::time::interval(Duration::from_millis(20)) });
            while !end.load(Ordering::SeqCst) {
                seen.extend(processes(&mark).into_iter().filter(|one| !one.is_the_run()));
                runtime.block_on(next.tick());
            }
            seen
        };
        Self { ends, thread: Some(std::thread::spawn(looks)) }
    }

    fn end(mut self) -> BTreeSet<Process> {
        self.ends.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap()
    }
}

fn processes(mark: &str) -> Vec<Process> {
    let all = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let marked = |process: fs::DirEntry| {
        let read = |file| {
            let bytes = fs::read(process.path().join(file)).ok()?;
            Some(String::from_utf8_lossy(&bytes).replace('\0', "\n"))
        };
        let environment = read("environ")?;
        environment.lines().any(|line| line == mark).then_some(())?;
        Some(Process { words: read("cmdline")?, environment })
    };
    all.filter_map(marked).collect()
}

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
                secret("variables", "flux-system", json!({"DOMAIN": marker("substitution"), "PIN": PIN.1})),
            ),
            ("clusters/markers/whole.yaml", secret("whole", "app", json!({"password": marker("values")}))),
            (
                "clusters/markers/registry.yaml",
                secret("registry", "app", json!({"username": "reader", "password": marker("registry")})),
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

    /// A verb that fails for that reason.
    fn fails(&self, words: &[&str], more: &[(&str, &str)], because: &str) {
        let (code, said) = self.verb(words, Some("token"), more);
        assert!(code > 0 && said.contains(because), "{words:?}: {code}, and not {because:?}: {said}");
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
        play.fails(&run, &[], because);
        play.fails(&run, TRACE, because);
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
    for fate in [Fate::Repeated(500), Fate::Repeated(422), Fate::Truncated] {
        proxy.weather(repeating(fate));
        let because = if fate == Fate::Truncated { "" } else { "app/from-env" };
        play.fails(&run, changed, because);
        play.fails(&run, &[changed, TRACE].concat(), because);
    }
    proxy.weather(fair());
    play.succeeds(&run, Some("token"), changed);
}
