//! What a repository may ask of the person's machine; what is not known is never written; commands work on
//! the cluster of the run.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common;

const INPUT: i32 = 3;
const PREFLIGHT: i32 = 4;
const NOT_AGREED: i32 = 9;

const TASKS: &str = "
stages:
  - name: own
    steps:
      - secrets: declared
      - kustomization: app
      - {name: script, command: [scripts/run.sh, '{{cluster}}']}
";

/// A repository that asks for much, a state folder, and an API server that has nothing and takes note of
/// what is written.
struct Scene {
    folder: TempDir,
    kubeconfig: PathBuf,
    writes: Arc<Mutex<Vec<String>>>,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (url, writes) = empty_server();
        let kubeconfig = folder.path().join("kubeconfig");
        let config = json!({
            "apiVersion": "v1", "kind": "Config",
            "clusters": [{"name": "home", "cluster": {"server": url}}],
            "users": [{"name": "home", "user": {"token": "x"}}],
            "contexts": [{"name": "mapped", "context": {"cluster": "home", "user": "home"}},
                {"name": "infra", "context": {"cluster": "home", "user": "home"}}],
        });
        std::fs::write(&kubeconfig, config.to_string()).unwrap();
        let scene = Self { folder, kubeconfig, writes };
        scene.make("repository");
        scene.program("op", "touch ../op-ran; echo -n from-the-vault");
        scene
    }

    /// A repository of that name.
    fn make(&self, name: &str) -> PathBuf {
        let root = self.at(name);
        let files = [
            ("kubernetes/clusters/infra/sync.yaml", common::sync("kubernetes/clusters/infra")),
            ("kubernetes/clusters/infra/app.yaml", APP.to_owned()),
            ("kubernetes/app/map.yaml", MAP.to_owned()),
            ("tasks/own.yaml", TASKS.to_owned()),
            ("scripts/run.sh", "#!/bin/sh\ntouch ran\n".to_owned()),
        ];
        for (file, text) in files {
            write(&root.join(file), &text);
        }
        executable(&root.join("scripts/run.sh"));
        let outside = self.at("outside");
        write(&outside, "from-a-file");
        std::os::unix::fs::symlink(&outside, root.join("link")).unwrap();
        write(&root.join("bootstrapper.yaml"), CONFIG);
        root
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, name: &str, does: &str) {
        let path = self.at("programs").join(name);
        write(&path, &format!("#!/bin/sh\ncd {}\n{does}\n", self.folder.path().join("programs").display()));
        executable(&path);
    }

    /// The program without anything agreed to beforehand, and nobody at a terminal.
    fn run(&self, arguments: &[&str]) -> Command {
        self.run_in("repository", arguments)
    }

    fn run_in(&self, repository: &str, arguments: &[&str]) -> Command {
        let mut command = common::bootstrapper();
        let usual = command.get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap().to_owned();
        let path = [self.at("programs")].into_iter().chain(std::env::split_paths(&usual));
        command
            .env_remove("BOOTSTRAPPER_TRUST")
            .env("PATH", std::env::join_paths(path).unwrap())
            .env("BOOTSTRAPPER_STATE_DIR", self.at("state"))
            .env("KUBECONFIG", &self.kubeconfig)
            .env("CONSENT_TOKEN", "from-the-environment")
            .args(arguments)
            .arg("--repo")
            .arg(self.at(repository));
        command
    }

    fn nothing_ran(&self) {
        assert!(!self.at("op-ran").exists(), "the vault was asked");
        assert!(!self.at("repository/ran").exists(), "the repository's script ran");
    }
}

const CONFIG: &str = "clusters:
  infra:
    context: mapped
    secrets:
      - name: values
        namespace: flux-system
        data:
          TOKEN: {env: CONSENT_TOKEN}
          FILE: {file: link}
          VAULT: {op: 'op://vault/item/field'}
";

const APP: &str = "apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: app, namespace: flux-system}
spec:
  interval: 10m
  path: kubernetes/app
  prune: true
  sourceRef: {kind: GitRepository, name: flux-system}
  postBuild: {substituteFrom: [{kind: Secret, name: values}]}
";

const MAP: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: map, namespace: default}
data:
  token: a-${TOKEN}
";

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn executable(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// An API server that has nothing.
fn empty_server() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let writes = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&writes);
    std::thread::spawn(move || {
        for mut connection in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 4096];
            let length = connection.read(&mut request).unwrap_or_default();
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            let line = request.lines().next().unwrap_or_default().to_owned();
            // Reviews are questions.
            if !line.starts_with("GET") && !line.contains("reviews") {
                noted.lock().unwrap().push(line.clone());
            }
            let (code, body) = if line.starts_with("GET /version") {
                (
                    200,
                    json!({"major": "1", "minor": "36", "gitVersion": "v1.36.3", "gitCommit": "",
                    "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "", "platform": ""}),
                )
            } else if line.starts_with("GET /api/v1/namespaces/kube-system ") {
                (
                    200,
                    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system", "uid": "u"}}),
                )
            } else if line.starts_with("GET /api/v1 ") {
                (
                    200,
                    json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [
                        {"name": "configmaps", "singularName": "", "namespaced": true, "kind": "ConfigMap", "verbs": ["get", "list", "watch", "patch"]},
                        {"name": "secrets", "singularName": "", "namespaced": true, "kind": "Secret", "verbs": ["get", "list", "watch", "patch"]},
                        {"name": "namespaces", "singularName": "", "namespaced": false, "kind": "Namespace", "verbs": ["get", "list", "watch", "patch"]},
                    ]}),
                )
            } else {
                (
                    404,
                    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": "none"}),
                )
            };
            let body = body.to_string();
            let _ = write!(
                connection,
                "HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    (url, writes)
}

#[test]
fn nothing_of_the_machine_is_used_before_it_is_agreed_to_and_the_list_says_all_of_it() {
    let scene = Scene::new();
    let outside = scene.at("outside").canonicalize().unwrap();
    for verb in [
        &["infra"][..],
        &["plan", "infra"],
        &["status", "infra"],
        &["handover", "infra"],
        &["clean", "infra", "--yes"],
    ] {
        let told = scene.run(verb).assert().code(NOT_AGREED);
        told.stderr(
            contains("kubeconfig context  mapped  for cluster infra  (bootstrapper.yaml:3:14)")
                .and(contains("environment variable  CONSENT_TOKEN  for TOKEN of Secret flux-system/values of infra  (bootstrapper.yaml:8:11)"))
                .and(contains(format!("file  {}  for FILE", outside.display())))
                .and(contains("1Password  op://vault/item/field  for VAULT"))
                .and(contains("command  scripts/run.sh infra  for step own/script of infra, content "))
                .and(contains("bootstrapper trust infra")),
        );
        scene.nothing_ran();
    }
    for verb in [&["history", "infra"][..], &["doctor", "infra"]] {
        scene.run(verb).assert().code(NOT_AGREED).stderr(contains("kubeconfig context  mapped"));
    }
    assert_eq!(*scene.writes.lock().unwrap(), Vec::<String>::new());
}

#[test]
fn what_needs_nothing_of_the_machine_asks_for_nothing() {
    let scene = Scene::new();
    for verb in [&["validate"][..], &["graph"], &["list"], &["trust", "--list"]] {
        let told = scene.run(verb).output().unwrap();
        assert_ne!(told.status.code(), Some(NOT_AGREED), "{verb:?}: {told:?}");
        scene.nothing_ran();
    }
}

#[test]
fn requests_are_approved_once_per_repository_and_again_when_they_change() {
    let scene = Scene::new();
    // Nobody can be asked here.
    scene.run(&["trust"]).assert().code(NOT_AGREED).stderr(contains("--yes"));
    scene.run(&["trust", "--yes"]).assert().success();
    let kept = scene.at("state/trust");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&kept), 0o700);
    let files: Vec<PathBuf> = kept.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.iter().map(|file| mode(file)).collect::<Vec<_>>(), [0o600]);
    scene.run(&["plan", "infra"]).assert().stderr(contains("not approved").not());
    assert!(scene.at("op-ran").exists());

    // Another repository, though it asks for the same.
    scene.make("another");
    scene.run_in("another", &["plan", "infra"]).assert().code(NOT_AGREED);

    // Other bytes of the script, or of what it may load; another place of the link; another variable.
    let root = scene.at("repository");
    let refused = |said: &str| {
        scene
            .run(&["plan", "infra"])
            .assert()
            .code(NOT_AGREED)
            .stderr(contains(said))
            .stderr(contains("requests 1 thing"))
    };
    write(&root.join("scripts/run.sh"), "#!/bin/sh\nrm -rf /\n");
    drop(refused("command  scripts/run.sh infra"));
    write(&root.join("scripts/run.sh"), "#!/bin/sh\ntouch ran\n");
    write(&root.join("scripts/lib.sh"), "true\n");
    drop(refused("command  scripts/run.sh infra"));
    std::fs::remove_file(root.join("scripts/lib.sh")).unwrap();
    scene.run(&["plan", "infra"]).assert().stderr(contains("not approved").not());
    let elsewhere = scene.at("elsewhere");
    write(&elsewhere, "x");
    std::fs::remove_file(root.join("link")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, root.join("link")).unwrap();
    drop(refused("elsewhere"));
    std::fs::remove_file(root.join("link")).unwrap();
    std::os::unix::fs::symlink(scene.at("outside"), root.join("link")).unwrap();
    write(&root.join("bootstrapper.yaml"), &CONFIG.replace("CONSENT_TOKEN", "HOME"));
    drop(refused("environment variable  HOME"));
    // Where it is written does not matter.
    write(&root.join("bootstrapper.yaml"), &format!("# moved\n{CONFIG}"));
    scene.run(&["plan", "infra"]).assert().stderr(contains("not approved").not());

    scene.run(&["trust", "--revoke"]).assert().success();
    scene.run(&["plan", "infra"]).assert().code(NOT_AGREED);
}

#[test]
fn a_program_of_the_repository_is_agreed_to_by_its_bytes_though_path_finds_it() {
    let scene = Scene::new();
    let root = scene.at("repository");
    write(&root.join("tasks/own.yaml"), "stages: [{name: own, steps: [{command: [deploy]}]}]\n");
    let deploy = root.join("bin/deploy");
    write(&deploy, "#!/bin/sh\ntrue\n");
    executable(&deploy);
    let run = |arguments: &[&str]| {
        let mut command = scene.run(arguments);
        let usual = command.get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap().to_owned();
        let path = [root.join("bin")].into_iter().chain(std::env::split_paths(&usual));
        command.env("PATH", std::env::join_paths(path).unwrap());
        command
    };
    run(&["trust", "--yes"]).assert().success();
    run(&["plan", "infra"]).assert().stderr(contains("not approved").not());
    write(&deploy, "#!/bin/sh\nid\n");
    run(&["plan", "infra"]).assert().code(NOT_AGREED).stderr(contains("command  deploy  for"));
}

#[test]
fn ci_agrees_to_a_list_by_its_digest_and_to_no_other() {
    let scene = Scene::new();
    let listed = scene.run(&["trust", "--list", "--output", "json"]).output().unwrap();
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let digest = listed[0]["digest"].as_str().unwrap().to_owned();
    let flag = format!("--trust={digest}");
    scene.run(&["plan", "infra"]).assert().code(NOT_AGREED).stderr(contains(flag.as_str()));
    scene.run(&["plan", "infra", &flag]).assert().stderr(contains("not approved").not());
    scene
        .run(&["plan", "infra"])
        .env("BOOTSTRAPPER_TRUST", &digest)
        .assert()
        .stderr(contains("not approved").not());
    scene.run(&["plan", "infra", "--trust=00"]).assert().code(NOT_AGREED);
    write(&scene.at("repository/scripts/run.sh"), "#!/bin/sh\nid\n");
    scene.run(&["plan", "infra", &flag]).assert().code(NOT_AGREED);
    scene.run(&["plan", "infra", "--trust"]).assert().stderr(contains("not approved").not());
}

#[test]
fn a_secret_is_no_device_no_pipe_and_not_larger_than_a_secret_can_be() {
    let scene = Scene::new();
    let pipe = scene.at("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let large = scene.at("large");
    std::fs::write(&large, vec![b'x'; 2 * 1024 * 1024]).unwrap();
    for (file, said) in [
        (Path::new("/dev/zero"), "not a regular file"),
        (pipe.as_path(), "not a regular file"),
        (scene.folder.path(), "not a regular file"),
        (large.as_path(), "larger than"),
    ] {
        let config = CONFIG.replace("{file: link}", &format!("{{file: {}}}", file.display()));
        write(&scene.at("repository/bootstrapper.yaml"), &config);
        scene
            .run(&["plan", "infra", "--trust"])
            .timeout(std::time::Duration::from_mins(1))
            .assert()
            .code(PREFLIGHT)
            .stderr(contains(said).and(contains(file.display().to_string())));
    }
}

/// A placeholder was applied once, by a task of one's own.
#[test]
fn what_is_not_known_is_not_applied() {
    let scene = Scene::new();
    let tells = || contains("Secret flux-system/values lacks TOKEN").and(contains("CONSENT_TOKEN"));
    for value in [None, Some("")] {
        let run = |arguments: &[&str]| {
            let mut command = scene.run(arguments);
            match value {
                Some(value) => command.env("CONSENT_TOKEN", value),
                None => command.env_remove("CONSENT_TOKEN"),
            };
            command
        };
        run(&["infra", "--trust"]).assert().code(PREFLIGHT).stderr(tells());
        // One step alone, too: it names the variable, and where that is used.
        run(&["infra", "--trust", "--only", "own/kustomization-app"])
            .assert()
            .code(PREFLIGHT)
            .stderr(contains("uses ${TOKEN}").and(contains("kubernetes/app/map.yaml:5:12")).and(tells()));
        run(&["plan", "infra", "--trust", "--skip", "own/secrets"])
            .assert()
            .code(PREFLIGHT)
            .stdout(contains("runs scripts/run.sh infra"))
            .stderr(contains("uses ${TOKEN}"));
    }
    assert_eq!(*scene.writes.lock().unwrap(), Vec::<String>::new());
    scene.nothing_ran_but_the_vault();
}

/// What is made in the cluster is known to nobody before; nor is what is made of it, however far.
#[test]
fn what_only_the_cluster_knows_goes_into_nothing_that_is_applied() {
    let scene = Scene::new();
    let root = scene.at("repository");
    write(&root.join("bootstrapper.yaml"), "clusters: {}\n");
    write(
        &root.join("kubernetes/clusters/infra/secret.yaml"),
        "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: values, namespace: flux-system}\nspec: {data: [{secretKey: TOKEN, remoteRef: {key: x}}]}\n",
    );
    // A ConfigMap that holds it, from which another Kustomization draws.
    write(
        &root.join("kubernetes/app/map.yaml"),
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map, namespace: flux-system}\ndata: {token: 'a-${TOKEN:0:3}', plain: b}\n",
    );
    write(
        &root.join("kubernetes/clusters/infra/second.yaml"),
        &APP.replace("name: app,", "name: second,")
            .replace("kubernetes/app", "kubernetes/second")
            .replace("kind: Secret, name: values", "kind: ConfigMap, name: map"),
    );
    write(
        &root.join("kubernetes/second/map.yaml"),
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: second, namespace: default}\ndata: {x: 'b-${token}', y: '${plain}'}\n",
    );
    write(
        &root.join("tasks/own.yaml"),
        "stages: [{name: own, steps: [{kustomization: second}, {kustomization: app}]}]\n",
    );
    for only in ["own/kustomization-second", "own/kustomization-app"] {
        scene
            .run(&["infra", "--only", only])
            .assert()
            .code(INPUT)
            .stderr(contains("whose value exists only in the cluster"));
    }
    assert_eq!(*scene.writes.lock().unwrap(), Vec::<String>::new());
}

/// Other users see the words of programs.
#[test]
fn no_argument_of_a_command_contains_a_secret_value() {
    let scene = Scene::new();
    let root = scene.at("repository");
    write(
        &root.join("kubernetes/app/map.yaml"),
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cluster-settings, namespace: flux-system}\ndata: {WORD: 'a-${TOKEN}', OPEN: b}\n",
    );
    let steps =
        |word: &str| format!("stages: [{{name: own, steps: [{{command: [scripts/run.sh, '{word}']}}]}}]\n");
    write(&root.join("tasks/own.yaml"), &steps("x-${WORD}"));
    for verb in [&["plan", "infra", "--trust"][..], &["infra", "--trust"]] {
        scene
            .run(verb)
            .assert()
            .code(INPUT)
            .stderr(contains("the argument `x-${WORD}` of a command contains a secret value"))
            .stderr(contains("from-the-environment").not());
    }
    scene.nothing_ran_but_the_vault();
    write(&root.join("tasks/own.yaml"), &steps("x-${OPEN}"));
    scene.run(&["plan", "infra", "--trust"]).assert().stdout(contains("runs scripts/run.sh x-b"));
}

#[test]
fn a_task_file_reads_nothing_outside_of_the_repository() {
    let scene = Scene::new();
    let root = scene.at("repository");
    let outside = scene.at("outside").display().to_string();
    for path in ["link", "../outside", outside.as_str()] {
        for step in [format!("{{objects: {path}}}"), format!("{{crds: {{manifest: {path}}}}}")] {
            write(&root.join("tasks/own.yaml"), &format!("stages: [{{name: own, steps: [{step}]}}]\n"));
            scene
                .run(&["plan", "infra", "--trust"])
                .assert()
                .code(INPUT)
                .stderr(contains("lies outside of the repository").and(contains("tasks/own.yaml:1")))
                .stderr(contains("from-a-file").not());
        }
    }
}

impl Scene {
    fn nothing_ran_but_the_vault(&self) {
        assert!(!self.at("repository/ran").exists(), "the repository's script ran");
    }
}

/// What a command sees of the world.
const SEES: &str = "#!/bin/sh
set -e
cp \"$KUBECONFIG\" \"$OUT/seen-kubeconfig\"
stat -c %a \"$KUBECONFIG\" > \"$OUT/mode\"
echo \"$KUBECONFIG\" > \"$OUT/place\"
env > \"$OUT/environment\"
helm list -A --output json > \"$OUT/releases\"
";

/// And not on whatever cluster the person's kubeconfig names just now.
#[test]
fn a_command_works_on_the_cluster_of_the_run() {
    let scene = Scene::new();
    let repository = common::repository();
    let root = repository.path();
    std::fs::remove_dir_all(root.join("tasks")).unwrap();
    write(&root.join("tasks/own.yaml"), "stages: [{name: own, steps: [{command: [scripts/sees.sh]}]}]\n");
    write(&root.join("scripts/sees.sh"), &SEES.replace("$OUT", scene.folder.path().to_str().unwrap()));
    executable(&root.join("scripts/sees.sh"));
    let run = |arguments: &[&str]| {
        let mut command = common::bootstrapper();
        command
            .env("BOOTSTRAPPER_STATE_DIR", scene.at("state"))
            // The person's own, on which nothing would answer.
            .env("KUBECONFIG", &scene.kubeconfig)
            .env("HELM_KUBEAPISERVER", "https://127.0.0.1:1")
            .env("INFRA_BGP_PASSWORD", "a-secret-of-the-bootstrap")
            .args(arguments);
        command
    };
    let down = scopeguard(|| drop(run(&["sandbox", "down", "infra"]).output()));
    let about = |arguments: &[&str]| {
        let mut command = run(arguments);
        command.arg("--repo").arg(root);
        command
    };
    about(&["sandbox", "up", "infra"]).assert().success();
    // In a sandbox secrets are made up, and only the command has to be agreed to.
    about(&["infra", "--sandbox"])
        .env_remove("BOOTSTRAPPER_TRUST")
        .assert()
        .code(NOT_AGREED)
        .stderr(contains("command  scripts/sees.sh").and(contains("environment variable").not()));
    about(&["infra", "--sandbox"]).assert().success();
    drop(down);

    let read = |name: &str| std::fs::read_to_string(scene.at(name)).unwrap();
    let config: Value = serde_json::from_str(&read("seen-kubeconfig")).unwrap();
    assert_eq!(config["contexts"].as_array().unwrap().len(), 1, "{config}");
    assert_eq!(config["current-context"], config["contexts"][0]["name"]);
    assert_eq!(read("mode").trim(), "600");
    assert!(!Path::new(read("place").trim()).exists(), "the kubeconfig outlived the command");
    let environment = read("environment");
    assert!(environment.contains("BOOTSTRAPPER_CLUSTER=infra\n"), "{environment}");
    for hidden in ["a-secret-of-the-bootstrap", "BOOTSTRAPPER_TRUST", "HELM_KUBEAPISERVER"] {
        assert!(!environment.contains(hidden), "{hidden}: {environment}");
    }
    assert!(read("releases").trim().starts_with('['), "{}", read("releases"));
}

/// Does something when it goes.
struct Guard<F: FnMut()>(F);

impl<F: FnMut()> Drop for Guard<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

fn scopeguard<F: FnMut()>(then: F) -> Guard<F> {
    Guard(then)
}
