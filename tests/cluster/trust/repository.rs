//! Reading a repository runs nothing and reaches nothing.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::common;

/// What lies outside of the repository, and in the environment.
const CANARY: &str = "canary-of-another-folder";
const VARIABLE: &str = "canary-of-the-environment";

/// No verb may take longer than this with what is played here.
const TIMEOUT: Duration = Duration::from_mins(2);

/// A repository of somebody else's, on the machine of a person with something to lose.
pub(crate) struct Hostile {
    machine: TempDir,
    pub(crate) root: PathBuf,
    sent: Arc<AtomicUsize>,
    port: u16,
}

/// What a verb said.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
}

impl Hostile {
    /// A repository of one cluster whose root Kustomization builds what is written there.
    pub(crate) fn new() -> Self {
        let machine = tempfile::tempdir().unwrap();
        let home = machine.path().canonicalize().unwrap();
        let root = home.join("repository");
        fs::create_dir_all(root.join("kubernetes/clusters/home/flux-system")).unwrap();
        fs::write(home.join("outside.yaml"), format!("kind: {CANARY}\n")).unwrap();
        fs::create_dir(home.join("outside")).unwrap();
        fs::write(
            home.join("outside/kustomization.yaml"),
            format!("configMapGenerator: [{{name: {CANARY}, literals: [a=b]}}]\n"),
        )
        .unwrap();
        let program = home.join("program");
        fs::write(&program, format!("#!/bin/sh\necho \"$0 $@\" >> {}\ncat\n", home.join("ran").display()))
            .unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&sent);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                drop(connection);
            }
        });
        let hostile = Self { machine, root, sent, port };
        hostile.write(
            "kubernetes/clusters/home/flux-system/gotk-sync.yaml",
            &common::sync("./kubernetes/clusters/home"),
        );
        hostile.write("kubernetes/clusters/home/here.yaml", OBJECT);
        hostile.kustomization("resources: [flux-system/gotk-sync.yaml, here.yaml]\n");
        hostile
    }

    pub(crate) fn write(&self, file: &str, text: &str) {
        let path = self.root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, self.filled(text)).unwrap();
    }

    /// The kustomization that the root Kustomization builds.
    pub(crate) fn kustomization(&self, text: &str) {
        self.write("kubernetes/clusters/home/kustomization.yaml", text);
    }

    /// `MACHINE` is the folder outside of the repository, `PORT` where somebody listens.
    fn filled(&self, text: &str) -> String {
        let machine = self.machine.path().canonicalize().unwrap().display().to_string();
        text.replace("MACHINE", &machine).replace("PORT", &self.port.to_string())
    }

    /// Runs a verb as the person would.
    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        let machine = self.machine.path().canonicalize().unwrap();
        let kubeconfig = machine.join("kubeconfig");
        fs::write(&kubeconfig, KUBECONFIG).unwrap();
        let output = common::bootstrapper()
            .args(arguments)
            .current_dir(&self.root)
            .env("HOME", machine.join("home"))
            .env("XDG_CACHE_HOME", machine.join("cache"))
            .env("KUBECONFIG", kubeconfig)
            .env("BGP_PASSWORD", VARIABLE)
            .env("PORT", VARIABLE)
            .env("GIT_EXTERNAL_DIFF", machine.join("program"))
            .env("GIT_SSH_COMMAND", machine.join("program"))
            .env("GIT_ASKPASS", machine.join("program"))
            .timeout(TIMEOUT)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        Said { code: output.status.code(), text: text.concat() }
    }

    /// Runs every verb that reads a repository; what `validate` said.
    fn read_by_all(&self, case: &str) -> Said {
        let validated = self.run(&["validate"]);
        self.assert_harmless(case, &validated);
        for verb in [
            &["validate", "--output", "json"][..],
            &["graph"],
            &["list"],
            &["list", "home"],
            &["plan", "home"],
            &["handover", "home"],
        ] {
            self.assert_harmless(case, &self.run(verb));
        }
        validated
    }

    pub(crate) fn assert_harmless(&self, case: &str, said: &Said) {
        let ran = self.machine.path().join("ran");
        assert!(!ran.exists(), "{case} ran {:?}", fs::read_to_string(&ran));
        assert_eq!(self.sent.load(Ordering::SeqCst), 0, "{case} sent something");
        assert!(!said.text.contains(CANARY), "{case} read what lies outside:\n{}", said.text);
        assert!(!said.text.contains(VARIABLE), "{case} read the environment:\n{}", said.text);
        assert!(!said.text.contains("panicked"), "{case}:\n{}", said.text);
        assert!(said.code.is_some(), "{case} was not over in time, or was killed");
    }
}

pub(crate) const OBJECT: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: here, namespace: default}\ndata: {a: b}\n";

const KUBECONFIG: &str = "apiVersion: v1
kind: Config
current-context: home
clusters: [{name: home, cluster: {server: 'https://127.0.0.1:1'}}]
users: [{name: home, user: {}}]
contexts: [{name: home, context: {cluster: home, user: home}}]
";

fn is_told(said: &Said, rule: &str, case: &str) {
    let places = said.text.lines().filter(|line| line.contains(rule));
    let placed = places
        .filter(|line| line.split_whitespace().next().is_some_and(|place| place.matches(':').count() == 2));
    assert!(placed.count() > 0, "{case} is not told as {rule} with file, line and column:\n{}", said.text);
    assert_eq!(said.code, Some(3), "{case}");
}

#[test]
fn a_remote_base_runs_no_program() {
    let options = [
        "file:///x//y?ref=--upload-pack=MACHINE/program",
        "file://MACHINE/outside//.?ref=--upload-pack=MACHINE/program",
        "FILE://MACHINE/outside",
        "git::file://MACHINE/outside//.?ref=--upload-pack=MACHINE/program",
        "ssh://-oProxyCommand=MACHINE%2Fprogram/x//y",
        "git@-oProxyCommand=MACHINE/program:x/y",
        "a@127.0.0.1:x/y?ref=--upload-pack=MACHINE/program",
        "https://127.0.0.1:PORT/x//y?ref=--upload-pack=MACHINE/program",
        "https://127.0.0.1:PORT/x//y?ref=main;x",
        "https://127.0.0.1:PORT/x//y?ref=refs/heads/*:refs/heads/*",
    ];
    for address in options {
        for field in ["resources", "components", "bases", "transformers", "generators"] {
            let hostile = Hostile::new();
            hostile.kustomization(&format!("{field}: [\"{address}\"]\n"));
            is_told(&hostile.read_by_all(address), "refused-address", &format!("{field}: {address}"));
        }
    }
    // What kustomize takes for a path is one here, too.
    let hostile = Hostile::new();
    hostile.kustomization("resources: [\"ext::sh -c MACHINE/program\", \"git://127.0.0.1:PORT/x/y\"]\n");
    hostile.read_by_all("ext");
}

#[test]
fn what_the_configuration_of_a_repository_names_does_not_run() {
    let config = "[core]
\trepositoryformatversion = 0
\tbare = false
\tfsmonitor = MACHINE/program
\thooksPath = MACHINE
\tsshCommand = MACHINE/program
\tpager = MACHINE/program
\taskPass = MACHINE/program
[filter \"f\"]
\tclean = MACHINE/program
\tsmudge = MACHINE/program
\tprocess = MACHINE/program
[diff]
\texternal = MACHINE/program
[credential]
\thelper = MACHINE/program
[alias]
\tstatus = !MACHINE/program
[include]
\tpath = MACHINE/outside.yaml
[remote \"origin\"]
\turl = ext::MACHINE/program
\tpromisor = true
\tuploadpack = MACHINE/program
[extensions]
\tpartialClone = origin
";
    let hostile = Hostile::new();
    let git = |arguments: &[&str]| {
        let mut command = std::process::Command::new("git");
        command
            .current_dir(&hostile.root)
            .args(["-c", "user.name=t", "-c", "user.email=t@x.test"])
            .args(arguments);
        assert!(command.env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap().status.success());
    };
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "x"]);
    hostile.write(".git/config", config);
    hostile.write(".git/info/attributes", "* filter=f diff=f\n");
    hostile.write(".gitattributes", "* filter=f diff=f\n");
    hostile.write(".envrc", "MACHINE/program\n");
    for hook in ["post-index-change", "fsmonitor-watchman", "post-checkout"] {
        hostile.write(&format!(".git/hooks/{hook}"), "#!/bin/sh\nexec MACHINE/program\n");
        let hook = hostile.root.join(".git/hooks").join(hook);
        fs::set_permissions(hook, fs::Permissions::from_mode(0o755)).unwrap();
    }
    hostile.write("kubernetes/clusters/home/here.yaml", &OBJECT.replace("a: b", "a: c"));
    let said = hostile.read_by_all("a configuration");
    assert_eq!(said.code, Some(0), "{}", said.text);

    // A bare repository in the place of the repository itself.
    let hostile = Hostile::new();
    hostile.write("HEAD", "ref: refs/heads/main\n");
    hostile.write("config", &config.replace("bare = false", "bare = true\n\tworktree = MACHINE/repository"));
    for folder in ["objects", "refs/heads"] {
        fs::create_dir_all(hostile.root.join(folder)).unwrap();
    }
    hostile.read_by_all("a bare repository");

    // One that says that it lies elsewhere.
    let hostile = Hostile::new();
    hostile.write(".git", "gitdir: MACHINE/elsewhere\n");
    let elsewhere = hostile.machine.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("config"), hostile.filled(config)).unwrap();
    fs::write(elsewhere.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    hostile.read_by_all("a file in the place of .git");
}

#[test]
fn nothing_outside_of_the_repository_is_read() {
    let fields = [
        "resources: [\"FILE\"]",
        "bases: [\"FILE\"]",
        "components: [\"FOLDER\"]",
        "resources: [\"FOLDER\"]",
        "Resources: [\"FILE\"]",
        "re\u{17f}ources: [\"FILE\"]",
        "crds: [\"FILE\"]",
        "configurations: [\"FILE\"]",
        "openapi: {path: \"FILE\"}",
        "patches: [{path: \"FILE\", target: {kind: ConfigMap}}]",
        "patches: [{PATH: \"FILE\"}]",
        "patchesStrategicMerge: [\"FILE\"]",
        "patchesJson6902: [{path: \"FILE\", target: {kind: ConfigMap, name: here, version: v1}}]",
        "replacements: [{path: \"FILE\"}]",
        "transformers: [\"FILE\"]",
        "transformers: [\"FOLDER\"]",
        "generators: [\"FILE\"]",
        "validators: [\"FILE\"]",
        "configMapGenerator: [{name: read, files: [\"FILE\"]}]",
        "configMapGenerator: [{name: read, files: [\"key=FILE\"]}]",
        "configMapGenerator: [{name: read, envs: [\"FILE\"]}]",
        "configMapGenerator: [{name: read, env: \"FILE\"}]",
        "secretGenerator: [{name: read, files: [\"FILE\"]}]",
        "transformers: [\"{apiVersion: builtin, kind: PatchTransformer, metadata: {name: x}, path: FILE, target: {kind: ConfigMap}}\"]",
        "generators: [\"{apiVersion: builtin, kind: ConfigMapGenerator, metadata: {name: x}, files: [FILE]}\"]",
        "transformers: [\"{apiVersion: builtin, kind: ReplacementTransformer, metadata: {name: x}, replacements: [{path: FILE}]}\"]",
    ];
    let ways = [
        ("MACHINE/outside.yaml", "MACHINE/outside"),
        ("../../../../outside.yaml", "../../../../outside"),
        ("here/../../../../../outside.yaml", "here/../../../../../outside"),
        ("link.yaml", "link"),
        ("chain.yaml", "chain"),
        ("up/outside.yaml", "up/outside"),
    ];
    for (file, folder) in ways {
        for field in fields {
            let hostile = Hostile::new();
            let cluster = hostile.root.join("kubernetes/clusters/home");
            for (link, target) in [
                ("link.yaml", "MACHINE/outside.yaml"),
                ("link", "../../../../outside"),
                ("chain.yaml", "link.yaml"),
                ("chain", "link"),
                ("up", "../../../.."),
            ] {
                symlink(hostile.filled(target), cluster.join(link)).unwrap();
            }
            let case = field.replace("FILE", file).replace("FOLDER", folder);
            hostile.kustomization(&format!("{case}\n"));
            let said = hostile.run(&["validate"]);
            hostile.assert_harmless(&case, &said);
            is_told(&said, "outside-repository", &case);
            hostile.assert_harmless(&case, &hostile.run(&["graph"]));
        }
    }
}

#[test]
fn a_link_out_of_the_repository_is_followed_nowhere() {
    for link in [
        "kubernetes/clusters/home/settings.yaml",
        "kubernetes/clusters/home/kustomization.yaml",
        "kubernetes/clusters/home/flux-system/gotk-sync.yaml",
        "kubernetes/clusters/home/more.yaml",
        "kubernetes/clusters/other",
        "tasks",
        "tasks/10-first.yaml",
        ".sops.yaml",
        "bootstrapper.yaml",
    ] {
        let hostile = Hostile::new();
        let place = hostile.root.join(link);
        let _ = fs::remove_file(&place);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        let outside = if link.contains(".yaml") { "outside.yaml" } else { "outside" };
        symlink(hostile.filled(&format!("MACHINE/{outside}")), place).unwrap();
        hostile.read_by_all(link);
    }
}

#[test]
fn a_kustomization_sends_nothing() {
    for field in [
        "resources: [\"URL\"]",
        "resources: [\"URL/x//y?ref=main\"]",
        "Resources: [\"URL\"]",
        "crds: [\"URL\"]",
        "configurations: [\"URL\"]",
        "openapi: {path: \"URL\"}",
        "patches: [{path: \"URL\"}]",
        "patchesStrategicMerge: [\"URL\"]",
        "replacements: [{path: \"URL\"}]",
        "transformers: [\"URL\"]",
        "transformers: [\"{apiVersion: builtin, kind: PatchTransformer, metadata: {name: x}, path: 'URL'}\"]",
        "configMapGenerator: [{name: x, files: [\"k=URL\"]}]",
        "configMapGenerator: [{name: x, envs: [\"URL\"]}]",
        "helmCharts: [{name: x, repo: \"URL\", version: 1.0.0}]",
    ] {
        for url in [
            "http://127.0.0.1:PORT/a.yaml",
            "HTTP://localhost:PORT/a",
            "https://me:secret@127.0.0.1:PORT/a.yaml",
        ] {
            let hostile = Hostile::new();
            hostile.kustomization(&format!("{}\n", field.replace("URL", url)));
            let said = hostile.run(&["validate"]);
            hostile.assert_harmless(field, &said);
            assert_eq!(said.code, Some(3), "{field}");
            assert!(!said.text.contains("me:secret"), "{}", said.text);
        }
    }
}

/// A HelmRelease whose chart lies where `source` says.
fn release(source: &str, chart: &str) -> String {
    format!(
        "apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {{name: charts, namespace: default}}
spec: {{interval: 1h, url: \"{source}\"}}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: app, namespace: default}}
spec: {{interval: 1h, chart: {{spec: {{{chart}, sourceRef: {{kind: HelmRepository, name: charts}}}}}}}}
"
    )
}

const CONFIG: &str = "clusters: {home: {secrets: [{name: cluster-secrets, namespace: flux-system, data: {BGP_PASSWORD: {env: BGP_PASSWORD}}}]}}\n";

/// A Kustomization that substitutes from the Secret that the bootstrap seeds.
fn substituting(name: &str, path: &str, more: &str) -> String {
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: {name}, namespace: flux-system}}
spec:
  interval: 1h
  path: {path}
  prune: true
  sourceRef: {{kind: GitRepository, name: flux-system}}
  postBuild: {{substituteFrom: [{{kind: Secret, name: cluster-secrets}}]{more}}}
"
    )
}

#[test]
fn a_url_that_depends_on_a_secret_is_not_requested() {
    let own = "chart: app, version: 1.0.0";
    let cases = [
        ("http://127.0.0.1:PORT/${BGP_PASSWORD}", own, ""),
        ("http://127.0.0.1:PORT/${BGP_PASSWORD:0:1}", own, ""),
        ("http://127.0.0.1:PORT/${#BGP_PASSWORD}", own, ""),
        ("http://127.0.0.1:PORT/${NAMED}", own, ", substitute: {NAMED: '${BGP_PASSWORD}'}"),
        ("http://127.0.0.1:PORT", "chart: 'a-${BGP_PASSWORD}', version: 1.0.0", ""),
        ("http://127.0.0.1:PORT", "chart: app, version: '1.0.0-${BGP_PASSWORD}'", ""),
    ];
    for (source, chart, more) in cases {
        let hostile = Hostile::new();
        hostile.write("bootstrapper.yaml", CONFIG);
        hostile.write("kubernetes/app/app.yaml", &release(source, chart));
        // What it gives itself is a secret only if what brings it substitutes.
        let outer = substituting("outer", "./kubernetes/outer", "");
        let inner = substituting("inner", "./kubernetes/app", more);
        hostile.write("kubernetes/outer/inner.yaml", &inner);
        hostile.write("kubernetes/clusters/home/outer.yaml", &outer);
        hostile.kustomization("resources: [flux-system/gotk-sync.yaml, outer.yaml]\n");
        let said = hostile.run(&["validate", "--charts"]);
        hostile.assert_harmless(source, &said);
        is_told(&said, "secret-in-address", source);
        hostile.assert_harmless(source, &hostile.run(&["plan", "home"]));
    }
}

#[test]
fn a_secret_that_went_through_a_config_map_is_still_one() {
    let hostile = Hostile::new();
    hostile.write("bootstrapper.yaml", CONFIG);
    hostile.write(
        "kubernetes/first/map.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: passed-on, namespace: flux-system}\ndata: {OPEN: a, PASSED: \"x${BGP_PASSWORD}\"}\n",
    );
    hostile.write(
        "kubernetes/app/app.yaml",
        &release("http://127.0.0.1:PORT/${PASSED}", "chart: app, version: 1.0.0"),
    );
    let second = substituting("second", "./kubernetes/app", "")
        .replace("{kind: Secret, name: cluster-secrets}", "{kind: ConfigMap, name: passed-on}");
    let both = format!("{}---\n{second}", substituting("first", "./kubernetes/first", ""));
    hostile.write("kubernetes/clusters/home/both.yaml", &both);
    hostile.kustomization("resources: [flux-system/gotk-sync.yaml, both.yaml]\n");
    let said = hostile.run(&["validate", "--charts"]);
    hostile.assert_harmless("a ConfigMap", &said);
    is_told(&said, "secret-in-address", "a ConfigMap");
}

#[test]
fn a_chart_is_neither_a_file_nor_an_option_nor_a_plugin() {
    for (source, chart) in [
        ("file://MACHINE/outside", "chart: app, version: 1.0.0"),
        ("git+file://MACHINE/outside", "chart: app, version: 1.0.0"),
        ("MACHINE/outside", "chart: app, version: 1.0.0"),
        ("alias:x", "chart: app, version: 1.0.0"),
        ("--post-renderer=MACHINE/program", "chart: app, version: 1.0.0"),
        ("https://127.0.0.1:1", "chart: '--post-renderer=MACHINE/program', version: 1.0.0"),
        ("https://127.0.0.1:1", "chart: MACHINE/outside, version: 1.0.0"),
        ("https://127.0.0.1:1", "chart: 'http://127.0.0.1:PORT/x.tgz', version: 1.0.0"),
    ] {
        let hostile = Hostile::new();
        hostile.write("kubernetes/clusters/home/app.yaml", &release(source, chart));
        hostile.kustomization("resources: [flux-system/gotk-sync.yaml, app.yaml]\n");
        let said = hostile.run(&["validate", "--charts"]);
        hostile.assert_harmless(source, &said);
        hostile.assert_harmless(source, &hostile.run(&["plan", "home"]));
    }
}

#[test]
fn what_is_in_the_repository_is_still_built() {
    let hostile = Hostile::new();
    hostile.write("kubernetes/base/kustomization.yaml", "resources: [b.yaml]\n");
    hostile.write("kubernetes/base/b.yaml", &OBJECT.replace("here", "of-base"));
    hostile.write("kubernetes/values.yaml", "a: b\n");
    hostile.write(
        "kubernetes/clusters/home/patch.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: here, namespace: default}\ndata: {c: d}\n",
    );
    hostile.write(
        "kubernetes/clusters/home/labels.yaml",
        "apiVersion: builtin\nkind: LabelTransformer\nmetadata: {name: l}\nlabels: {seen: \"yes\"}\nfieldSpecs: [{path: metadata/labels, create: true}]\n",
    );
    symlink("../../base", hostile.root.join("kubernetes/clusters/home/linked")).unwrap();
    hostile.kustomization(
        "resources: [flux-system/gotk-sync.yaml, here.yaml, linked]\ncomponents: []\npatches: [{path: patch.yaml}]\ntransformers: [labels.yaml]\nconfigMapGenerator: [{name: values, namespace: default, files: [../../values.yaml]}]\n",
    );
    let said = hostile.run(&["validate"]);
    hostile.assert_harmless("an ordinary repository", &said);
    assert_eq!(said.code, Some(0), "{}", said.text);
    let graph = hostile.run(&["graph"]);
    assert_eq!(graph.code, Some(0), "{}", graph.text);
}
