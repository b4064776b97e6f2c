//! Secrets as their owners keep them: each kind of source, whole manifests, templates; keys that are tried before
//! they are planted; folders of objects. sops and age are the real programs; op, bw, bws and vault cannot be had
//! here, so that small scripts stand in for them and note how they are called.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bootstrapper::engine::{self, Graph, Observation, Work};
use bootstrapper::failure::{Failure, FailureKind};
use bootstrapper::gitops::Repository;
use bootstrapper::pipeline::{Config, Selector};
use bootstrapper::plan::{self, SecretSources, Secrets};
use bootstrapper::tools::{Environment, Kustomize};
use bootstrapper::trust::{Approvals, Given};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::common::{self, programs};
use crate::decryption::Keeper;
use crate::plan::Planned;

/// A repository, programs that stand in for others, and what these were called with.
struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new(secrets: &str) -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(scene.folder.path().join("programs")).unwrap();
        scene.write("bootstrapper.yaml", &format!("clusters:\n  infra:\n    secrets:\n{secrets}"));
        scene
    }

    fn root(&self) -> PathBuf {
        let root = self.folder.path().join("repository");
        fs::create_dir_all(&root).unwrap();
        root.canonicalize().unwrap()
    }

    fn write(&self, file: &str, text: &str) -> PathBuf {
        let path = self.root().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// A program that notes its arguments and these variables, and answers.
    fn program(&self, name: &str, variables: &[&str], answer: &str) {
        let path = self.folder.path().join("programs").join(name);
        let noted: String =
            variables.iter().map(|name| format!("printf ' {name}=%s' \"${name}\"\n")).collect();
        let script = format!(
            "#!/bin/sh\n{{\nprintf '{name}'\nfor word in \"$@\"; do printf ' [%s]' \"$word\"; done\n{noted}echo\n}} >> {calls}\nprintf '%s' '{answer}'\n",
            calls = self.folder.path().join("calls").display()
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }

    /// How the programs were called.
    fn calls(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn environment(&self, more: &[&Path]) -> Environment {
        let own = self.folder.path().join("programs");
        let path = [own.as_path(), programs()].iter().chain(more).map(|path| path.to_path_buf()).collect();
        Environment { path, ..Environment::default() }
    }

    async fn resolved(&self, approvals: &Approvals, more: &[&Path]) -> Secrets {
        let config = Config::load(&self.root()).unwrap();
        let sources = SecretSources {
            name: "infra",
            config: &config,
            root: &self.root(),
            environment: &self.environment(more),
            cluster: None,
            approvals,
            in_sandbox: false,
        };
        plan::resolve_secrets(&sources).await.unwrap()
    }
}

fn everything() -> Approvals {
    Approvals::new(BTreeSet::new(), &Given::Everything, &[])
}

/// The decoded values of a Secret that is applied.
fn values(secrets: &Secrets, name: &str) -> BTreeMap<String, String> {
    let is_it = |object: &&bootstrapper::object::Complete<bootstrapper::object::Object>| {
        object.metadata.name.as_deref() == Some(name)
    };
    let object = secrets.objects.iter().find(is_it).unwrap_or_else(|| panic!("{:?}", secrets.unresolved));
    let decoded =
        |value: &Value| String::from_utf8(STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap();
    object.data["data"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| (key.clone(), decoded(value)))
        .collect()
}

/// No secret is among the arguments, which every user of the machine sees. `CARGO_PKG_NAME` is a variable that each
/// test has; it holds `bootstrapper`.
#[tokio::test]
async fn each_program_is_called_as_its_manual_says() {
    let op = ["OP_SERVICE_ACCOUNT_TOKEN", "OP_CONNECT_HOST", "OP_CONNECT_TOKEN"];
    for (source, value, call) in [
        (
            "{op: 'op://v/i/f'}",
            "s3cret-answer",
            "op [read] [--no-newline] [op://v/i/f] OP_SERVICE_ACCOUNT_TOKEN= OP_CONNECT_HOST= OP_CONNECT_TOKEN=",
        ),
        (
            "{op: {reference: 'op://v/i/f', account: home.1password.com}}",
            "s3cret-answer",
            "op [read] [--no-newline] [--account=home.1password.com] [op://v/i/f] OP_SERVICE_ACCOUNT_TOKEN= OP_CONNECT_HOST= OP_CONNECT_TOKEN=",
        ),
        (
            "{op: {reference: 'op://v/i/f', token: {env: CARGO_PKG_NAME}}}",
            "s3cret-answer",
            "op [read] [--no-newline] [op://v/i/f] OP_SERVICE_ACCOUNT_TOKEN=bootstrapper OP_CONNECT_HOST= OP_CONNECT_TOKEN=",
        ),
        (
            "{connect: {reference: 'op://v/i/f', host: 'https://connect.test', token: {env: CARGO_PKG_NAME}}}",
            "s3cret-answer",
            "op [read] [--no-newline] [op://v/i/f] OP_SERVICE_ACCOUNT_TOKEN= OP_CONNECT_HOST=https://connect.test OP_CONNECT_TOKEN=bootstrapper",
        ),
        (
            "{bitwarden: {item: login}}",
            "password-answer",
            "bw [get] [password] [login] [--raw] [--nointeraction] BW_SESSION=",
        ),
        (
            "{bitwarden: {item: login, field: token, session: {env: CARGO_PKG_NAME}}}",
            "custom-answer",
            "bw [get] [item] [login] [--raw] [--nointeraction] BW_SESSION=bootstrapper",
        ),
        (
            "{bitwarden: {secret: 1-2-3, token: {env: CARGO_PKG_NAME}}}",
            "bws-answer",
            "bws [secret] [get] [1-2-3] [--output] [json] [--color] [no] BWS_ACCESS_TOKEN=bootstrapper",
        ),
        (
            "{vault: {path: secret/infra, field: token}}",
            "vault-answer",
            "vault [kv] [get] [-field=token] [secret/infra] VAULT_TOKEN= VAULT_ADDR= VAULT_NAMESPACE=",
        ),
        (
            "{vault: {path: infra, field: token, mount: secret, namespace: team, address: 'https://vault.test', token: {env: CARGO_PKG_NAME}}}",
            "vault-answer",
            "vault [kv] [get] [-mount=secret] [-field=token] [infra] VAULT_TOKEN=bootstrapper VAULT_ADDR=https://vault.test VAULT_NAMESPACE=team",
        ),
        ("{program: [pass, show, 'infra token']}", "pass-answer", "pass [show] [infra token]"),
        ("{base64: {program: [pass]}}", "cGFzcy1hbnN3ZXI=", "pass"),
    ] {
        let scene = Scene::new(&format!("    - {{name: s, namespace: ns, data: {{k: {source}}}}}\n"));
        scene.program("op", &op, "s3cret-answer");
        let item = json!({"fields": [{"name": "token", "value": "custom-answer"}]}).to_string();
        let is_item = source.contains("field: token, session");
        scene.program("bw", &["BW_SESSION"], if is_item { &item } else { "password-answer" });
        scene.program("bws", &["BWS_ACCESS_TOKEN"], r#"{"id": "1-2-3", "value": "bws-answer"}"#);
        scene.program("vault", &["VAULT_TOKEN", "VAULT_ADDR", "VAULT_NAMESPACE"], "vault-answer");
        scene.program("pass", &[], "pass-answer\n");
        // Nothing is asked before it is agreed to.
        let secrets = scene.resolved(&Approvals::nothing(), &[]).await;
        assert_eq!(secrets.unresolved.len(), 1, "{source}");
        assert!(secrets.objects.is_empty() && scene.calls().is_empty(), "{source}");
        let secrets = scene.resolved(&everything(), &[]).await;
        assert_eq!(values(&secrets, "s")["k"], value, "{source}");
        assert_eq!(scene.calls(), [call], "{source}");
        let text = format!("an answer: {value}-");
        assert!(!bootstrapper::masking::masked(&text).contains(value), "{source}");
    }
}

#[tokio::test]
async fn a_program_that_fails_or_says_nothing_is_reported_with_its_place() {
    for (program, said) in
        [("[missing-program]", "not installed"), ("['false']", "failed"), ("['true']", "empty")]
    {
        let scene = Scene::new(&format!(
            "    - name: s\n      namespace: ns\n      data:\n        k: {{program: {program}}}\n"
        ));
        let secrets = scene.resolved(&everything(), &[]).await;
        let [failure] = secrets.unresolved.as_slice() else { panic!("{:?}", secrets.unresolved) };
        assert!(format!("{failure:?}").contains(said), "{said}: {failure:?}");
        assert_eq!(failure.kind, FailureKind::Preflight);
        assert_eq!(failure.location.as_ref().map(|at| at.line), Some(7), "{failure:?}");
    }
}

/// A value is put in as a whole after the template is read: it cannot become anything else than a value.
#[tokio::test]
async fn a_template_is_filled_value_by_value() {
    let scene = Scene::new("    - {template: bootstrap/secrets.yaml, namespace: fallback, account: home}\n");
    scene.write(
        "bootstrap/secrets.yaml",
        "---
apiVersion: v1
kind: Namespace
metadata: {name: external-secrets}
---
apiVersion: v1
kind: Secret
metadata:
  name: onepassword
  namespace: external-secrets
  labels: {app: connect}
stringData:
  token: {{ op://v/connect/token }}
  url: \"https://user:{{ op://v/connect/token }}@host\"
  1password-credentials.json: op://v/connect/credentials
  fixed: plain-text
---
apiVersion: v1
kind: Secret
metadata: {name: other}
type: example.com/own
data: {encoded: op://v/other/base64}
",
    );
    scene.program("op", &[], "YWJj\n\"{}: - #'\"'\"'");
    let secrets = scene.resolved(&Approvals::nothing(), &[]).await;
    assert_eq!(secrets.unresolved.len(), 4, "{:?}", secrets.unresolved);
    assert!(scene.calls().is_empty());
    let secrets = scene.resolved(&everything(), &[]).await;
    let answer = "YWJj\n\"{}: - #'";
    let values = values(&secrets, "onepassword");
    assert_eq!(values["token"], answer);
    assert_eq!(values["url"], format!("https://user:{answer}@host"));
    assert_eq!(values["1password-credentials.json"], answer);
    assert_eq!(values["fixed"], "plain-text");
    // What stands under `data` must be base64 in the vault.
    let [failure] = secrets.unresolved.as_slice() else { panic!("{:?}", secrets.unresolved) };
    assert!(failure.what.contains("fallback/other lacks encoded"), "{failure:?}");
    let at = failure.location.as_ref().unwrap();
    assert_eq!((at.file.as_path(), at.line), (Path::new("bootstrap/secrets.yaml"), 22));
    assert_eq!(secrets.objects[0].metadata.labels.as_ref().unwrap()["app"], "connect");
    assert!(scene.calls().iter().all(|call| call.contains("[--account=home]")), "{:?}", scene.calls());
}

/// A Secret of flux-system with such entries.
fn secret(name: &str, string_data: &Value, data: &Value) -> String {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "flux-system"},
        "stringData": string_data, "data": data})
    .to_string()
}

/// The key of the files is among the secrets itself, and the machine has none.
#[tokio::test]
async fn a_whole_manifest_is_decrypted_with_a_key_that_is_seeded_too() {
    let keeper = Keeper::new();
    let scene = Scene::new(
        "    - {file: bootstrap/secrets.sops.yaml}
    - {name: one, namespace: flux-system, data: {k: {sops: {file: bootstrap/secrets.sops.yaml, key: 'stringData[\"with.dots\"]'}}}}
    - {name: sops-age, namespace: flux-system, data: {age.agekey: {age: [{file: age.key}, {file: second.key}]}}}
",
    );
    scene.write("age.key", &fs::read_to_string(keeper.key()).unwrap());
    scene.write("second.key", &fs::read_to_string(Keeper::new().key()).unwrap());
    let whole = secret(
        "whole",
        &json!({"with.dots": "first-value"}),
        &json!({"encoded": STANDARD.encode("second-value")}),
    );
    let more = secret("more", &json!({"plain": "third-value"}), &json!({}));
    let file = scene.write("bootstrap/secrets.sops.yaml", &format!("{whole}\n---\n{more}\n"));
    keeper.encrypt(&file);
    assert!(!fs::read_to_string(&file).unwrap().contains("-value"));
    let secrets = scene.resolved(&everything(), &[&keeper.programs]).await;
    assert_eq!(secrets.unresolved.len(), 0, "{:?}", secrets.unresolved);
    let expected = [("encoded", "second-value"), ("with.dots", "first-value")];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(values(&secrets, "whole"), expected.into());
    assert_eq!(values(&secrets, "more")["plain"], "third-value");
    assert_eq!(values(&secrets, "one")["k"], "first-value");
    assert_eq!(values(&secrets, "sops-age")["age.agekey"].matches("AGE-SECRET-KEY-").count(), 2);
}

/// Goes on in the spec of the root Kustomization.
const DECRYPTION: &str = "  decryption: {provider: sops, secretRef: {name: sops-age}}\n";

/// A repository whose root Kustomization builds an encrypted Secret and a file that a Secret is generated from.
fn encrypted(keeper: &Keeper, entry: &str) -> Scene {
    let scene = Scene::new(&format!(
        "    - {{name: sops-age, namespace: flux-system, data: {{{entry}: {{file: age.key}}}}}}\n"
    ));
    let folder = "kubernetes/clusters/infra";
    scene.write(
        &format!("{folder}/kustomization.yaml"),
        "resources: [sync.yaml, secret.yaml]\nsecretGenerator: [{name: generated, namespace: flux-system, envs: [lines.env]}]\n",
    );
    scene.write(&format!("{folder}/sync.yaml"), &(common::sync(folder) + DECRYPTION));
    let file = scene
        .write(&format!("{folder}/secret.yaml"), &secret("app", &json!({"a": "hunter2hunter2"}), &json!({})));
    keeper.encrypt(&file);
    let file = scene.write(&format!("{folder}/lines.env"), "A=hunter2hunter2\n");
    keeper.encrypt(&file);
    scene
}

async fn unproven(scene: &Scene, keeper: &Keeper) -> Vec<Failure> {
    let environment = scene.environment(&[&keeper.programs]);
    let secrets = scene.resolved(&everything(), &[&keeper.programs]).await;
    assert_eq!(secrets.unresolved.len(), 0, "{:?}", secrets.unresolved);
    let kustomize = Kustomize::find(&environment).unwrap();
    let repository = Repository::open(&scene.root()).unwrap();
    let declared = repository.load("infra", &kustomize, &secrets.values).await.unwrap();
    let proof = plan::prove_keys(&declared, &scene.root(), &secrets, &environment).await;
    assert!(proof.unproven.is_empty(), "{proof:?}");
    proof.failures
}

#[tokio::test]
async fn a_key_is_proven_to_open_what_the_repository_encrypts_before_it_is_planted() {
    let (keeper, stranger) = (Keeper::new(), Keeper::new());
    let key = |keeper: &Keeper| fs::read_to_string(keeper.key()).unwrap();
    // One of several is enough.
    for keys in [key(&keeper), format!("{}\n{}", key(&stranger), key(&keeper))] {
        let scene = encrypted(&keeper, "cluster.agekey");
        scene.write("age.key", &keys);
        assert!(unproven(&scene, &keeper).await.is_empty());
    }
    let scene = encrypted(&keeper, "cluster.agekey");
    scene.write("age.key", &key(&stranger));
    let failures = unproven(&scene, &keeper).await;
    let [failure] = failures.as_slice() else { panic!("{failures:?}") };
    let told = format!("{failure:?}");
    for said in
        [keeper.recipient(), stranger.recipient(), "cluster.agekey".to_owned(), "secret.yaml".to_owned()]
    {
        assert!(told.contains(&said), "{said}: {told}");
    }
    assert_eq!(failure.kind, FailureKind::Preflight);
    assert!(failure.location.as_ref().is_some_and(|at| at.line > 1), "{failure:?}");
    assert!(!told.contains("AGE-SECRET"), "{told}");
    // The other formats, each by itself: a file of lines came first above.
    for (file, text) in [
        ("secret.yaml", secret("app", &json!({"a": "hunter2hunter2"}), &json!({}))),
        ("account.json", "{\"a\": \"hunter2hunter2\"}".to_owned()),
        ("token", "hunter2hunter2".to_owned()),
    ] {
        for (owner, expected) in [(&keeper, 0), (&stranger, 1)] {
            let scene = encrypted(&keeper, "cluster.agekey");
            scene.write("age.key", &key(owner));
            let folder = "kubernetes/clusters/infra";
            let generated = format!("secretGenerator: [{{name: g, files: [{file}]}}]\n");
            let names = if file == "secret.yaml" {
                "resources: [sync.yaml, secret.yaml]\n".to_owned()
            } else {
                format!("resources: [sync.yaml]\n{generated}")
            };
            scene.write(&format!("{folder}/kustomization.yaml"), &names);
            let path = scene.write(&format!("{folder}/{file}"), &text);
            keeper.encrypt(&path);
            assert_eq!(unproven(&scene, &keeper).await.len(), expected, "{file}");
        }
    }
    // Flux reads entries by their names.
    let scene = encrypted(&keeper, "age.key");
    scene.write("age.key", &key(&keeper));
    let failures = unproven(&scene, &keeper).await;
    assert!(failures[0].because[0].contains("`*.agekey`"), "{failures:?}");
    assert!(failures[0].location.is_some(), "{failures:?}");
}

/// A plan of the scene's repository.
async fn planned(
    scene: &Scene,
    keeper: &Keeper,
    approvals: Approvals,
    in_sandbox: bool,
) -> Result<Graph, Failure> {
    let environment = scene.environment(&[&keeper.programs]);
    let (folder, selector) = (&scene.root(), &Selector::default());
    let of = Planned { folder, cluster: "infra", selector, environment, approvals, in_sandbox };
    crate::plan::planned(of).await.map(|(graph, _)| graph)
}

/// A folder as kustomize builds it, with its namespace, decrypted with the key that is seeded.
#[tokio::test]
async fn a_folder_of_objects_is_built_and_decrypted_as_flux_would() {
    let keeper = Keeper::new();
    let scene = encrypted(&keeper, "cluster.agekey");
    scene.write("age.key", &fs::read_to_string(keeper.key()).unwrap());
    scene.write("early/infra/kustomization.yaml", "resources: [map.yaml, ../base]\n");
    scene.write(
        "early/infra/map.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: map}\ndata: {a: b}\n",
    );
    let file =
        scene.write("early/base/secret.yaml", &secret("early", &json!({"a": "hunter2hunter2"}), &json!({})));
    keeper.encrypt(&file);
    scene.write("early/base/kustomization.yaml", "resources: [secret.yaml]\n");
    scene.write(
        "tasks/own.yaml",
        "stages: [{name: own, steps: [{objects: {path: 'early/{{cluster}}', namespace: other}}, {name: file, objects: early/infra/map.yaml}, {name: bare, objects: {path: early/infra/map.yaml, namespace: third}}]}]\n",
    );
    let graph = planned(&scene, &keeper, everything(), false).await.unwrap();
    let titles: Vec<&str> = graph.steps().map(|step| step.title.as_str()).collect();
    assert_eq!(
        titles,
        ["objects of early/infra", "objects of early/infra/map.yaml", "objects of early/infra/map.yaml"]
    );
    let mut subjects = Vec::new();
    for (_, observed) in engine::observe(&graph).await {
        let Ok(Observation::Missing(diff)) = observed else { panic!("{observed:?}") };
        subjects
            .push(diff.changes.iter().map(|change| change.subject.clone()).collect::<Vec<_>>().join(", "));
    }
    assert!(subjects[0].contains("other/map") && subjects[0].contains("other/early"), "{subjects:?}");
    assert!(subjects[2].contains("third/map"), "{subjects:?}");
    // Without the key nothing of it is applied; in a sandbox the values are made up.
    let stranger = fs::read_to_string(Keeper::new().key()).unwrap();
    scene.write("age.key", &stranger);
    let Err(failure) = planned(&scene, &keeper, everything(), false).await else { panic!("it was planned") };
    assert!(failure.what.contains("early is encrypted with SOPS"), "{failure:?}");
    let graph = planned(&scene, &keeper, Approvals::nothing(), true).await.unwrap();
    assert!(graph.steps().all(|step| matches!(step.work, Work::Step(_))));
}

/// The value that a Secret has comes from the file, and a key that was read is masked.
#[tokio::test]
async fn keys_are_masked() {
    let keeper = Keeper::new();
    let scene = encrypted(&keeper, "cluster.agekey");
    let key = fs::read_to_string(keeper.key()).unwrap();
    scene.write("age.key", &key);
    let secrets = scene.resolved(&everything(), &[&keeper.programs]).await;
    let value =
        secrets.values.values().next().unwrap()["cluster.agekey"].known().unwrap().expose_secret().to_owned();
    assert_eq!(value, key);
    let line = key.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap();
    assert!(!bootstrapper::masking::masked(&format!("x {line} y")).contains(line));
}
