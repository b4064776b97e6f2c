//! What is encrypted with SOPS, with the real program: it is what its plaintext would be, and only
//! where the key is.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bootstrapper::gitops::{Declared, Repository, SecretValues};
use bootstrapper::tools::{Environment, Kustomize};
pub(crate) use common::keeper::Keeper;
use predicates::prelude::*;
use serde_json::{Value, json};

/// Stands in every secret, and may stand nowhere else.
const MARK: &str = "hunter2";

/// Goes on in the spec of the root Kustomization.
const ENCRYPTED_APP: &str = "  decryption: {provider: sops, secretRef: {name: sops-age}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: app, namespace: flux-system}
spec:
  interval: 10m
  path: ./app
  prune: true
  targetNamespace: app
  sourceRef: {kind: GitRepository, name: flux-system}
  decryption: {provider: sops, secretRef: {name: sops-age}}
  postBuild: {substituteFrom: [{kind: Secret, name: variables}]}
";

const APP: &str = "resources: [secret.yaml, release.yaml, ../base]
secretGenerator:
- name: lines
  envs: [lines.env]
- name: files
  options: {disableNameSuffixHash: true}
  files: [values.yaml, token, deep.json=account.json]
patches:
- path: patch.yaml
";

const RELEASE: &str = "apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {name: charts, namespace: app}
spec: {interval: 1h, url: https://charts.test}
---
apiVersion: v1
kind: Secret
metadata: {name: open, namespace: app}
stringData: {a: b}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: app, namespace: app}
spec:
  interval: 1h
  chart: {spec: {chart: app, version: 1.0.0, sourceRef: {kind: HelmRepository, name: charts}}}
  valuesFrom: [{kind: Secret, name: files, valuesKey: values.yaml}, {kind: Secret, name: whole, valuesKey: password, targetPath: own}]
  values: {domain: '${DOMAIN}'}
";

/// The files that are encrypted, and what they say.
fn secrets() -> BTreeMap<&'static str, String> {
    let secret = |name: &str, namespace: &str, data: Value| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "stringData": data}).to_string()
    };
    BTreeMap::from([
        (
            "kubernetes/clusters/test/variables.yaml",
            secret("variables", "flux-system", json!({"DOMAIN": format!("{MARK}.test")})),
        ),
        (
            "app/secret.yaml",
            secret("whole", "app", json!({"password": MARK, "url": format!("https://{MARK}@${{DOMAIN}}/")})),
        ),
        ("app/patch.yaml", secret("open", "app", json!({"more": MARK}))),
        ("app/lines.env", format!("A={MARK}\nB=two\n")),
        ("app/values.yaml", format!("deep:\n    password: {MARK}\n    port: 80\n")),
        ("app/token", format!("{MARK}\n")),
        ("app/account.json", format!("{{\n\t\"key\": \"{MARK}\"\n}}\n")),
        ("base/generated.env", format!("C={MARK}\n")),
    ])
}

fn plain_repository() -> tempfile::TempDir {
    let repository = tempfile::tempdir().unwrap();
    let sync = common::sync("./kubernetes/clusters/test") + ENCRYPTED_APP;
    let open = [
        ("kubernetes/clusters/test/flux-system/gotk-sync.yaml", sync.as_str()),
        (
            "kubernetes/clusters/test/kustomization.yaml",
            "resources: [flux-system/gotk-sync.yaml, variables.yaml]\n",
        ),
        ("app/kustomization.yaml", APP),
        ("app/release.yaml", RELEASE),
        ("base/kustomization.yaml", "secretGenerator: [{name: base, env: generated.env}]\n"),
    ];
    let all = secrets();
    let all = open.into_iter().chain(all.iter().map(|(file, text)| (*file, text.as_str())));
    for (file, text) in all {
        let path = repository.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    repository
}

fn encrypted_repository(keeper: &Keeper) -> tempfile::TempDir {
    let repository = plain_repository();
    for file in secrets().keys() {
        let file = repository.path().join(file);
        keeper.encrypt(&file);
        assert!(!fs::read_to_string(file).unwrap().contains(MARK));
    }
    repository
}

fn load(root: &Path, programs: &Path, secrets: &SecretValues) -> Declared {
    let path = vec![common::programs().to_owned(), programs.to_owned()];
    let kustomize = Kustomize::find(&Environment { path, ..Environment::default() }).unwrap();
    let repository = Repository::open(&root.canonicalize().unwrap()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(repository.load("test", &kustomize, secrets)).unwrap()
}

fn objects(declared: &Declared) -> Vec<Value> {
    declared.objects().map(|object| serde_json::to_value(object).unwrap()).collect()
}

/// Names with their digests, values, variables and releases: nothing tells that it was encrypted.
#[test]
fn what_is_encrypted_builds_to_what_its_plaintext_builds_to() {
    let keeper = Keeper::new();
    let plain = load(plain_repository().path(), &keeper.programs, &SecretValues::new());
    let encrypted = encrypted_repository(&keeper);
    let key = fs::read_to_string(keeper.key()).unwrap();
    let seeded = [("cluster.agekey".to_owned(), key.into())].into();
    let seeded = SecretValues::from([(("flux-system".to_owned(), "sops-age".to_owned()), seeded)]);
    let declared = load(encrypted.path(), &keeper.programs, &seeded);
    assert_eq!(declared.problems.len(), 0, "{:?}", declared.problems);
    for (decrypted, plain) in objects(&declared).iter().zip(&objects(&plain)) {
        assert_eq!(decrypted, plain);
    }
    assert_eq!((objects(&declared).len(), objects(&plain).len()), (11, 11));
    declared.kustomization("app").unwrap().applicable().unwrap();
    let release = declared.release("app").unwrap();
    release.installable().unwrap();
    assert_eq!(
        release.values,
        json!({"deep": {"password": MARK, "port": 80}, "own": MARK, "domain": format!("{MARK}.test")})
    );
}

#[test]
fn without_the_key_a_value_is_unknown_and_the_reason_is_reported() {
    let (keeper, stranger) = (Keeper::new(), Keeper::new());
    let encrypted = encrypted_repository(&keeper);
    let key = fs::read_to_string(stranger.key()).unwrap();
    let seeded = [("other.agekey".to_owned(), key.into())].into();
    let seeded = SecretValues::from([(("flux-system".to_owned(), "sops-age".to_owned()), seeded)]);
    for (secrets, why) in
        [(seeded, "no matching key available"), (SecretValues::new(), "decryption is not approved")]
    {
        let declared = load(encrypted.path(), &keeper.programs, &secrets);
        assert_eq!(declared.problems.len(), 0, "{:?}", declared.problems);
        let refused = declared.kustomization("app").unwrap().applicable().unwrap_err();
        assert!(refused.because.iter().any(|said| said.contains(why)), "{refused:?}");
        let still: Vec<&str> =
            declared.kustomization("app").unwrap().undecrypted.keys().map(|id| &*id.name).collect();
        assert_eq!(still.len(), 5, "{still:?}");
        assert!(declared.release("app").unwrap().installable().is_err());
    }
}

/// With the user's own key, and the caches of a first and a second run.
#[test]
fn plaintext_is_written_nowhere() {
    let keeper = Keeper::new();
    let encrypted = encrypted_repository(&keeper);
    let cache = tempfile::tempdir().unwrap();
    let path = [common::programs(), &keeper.programs].map(Path::to_owned);
    let rest = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths(path.into_iter().chain(std::env::split_paths(&rest))).unwrap();
    for verb in [&["validate", "test"][..], &["validate", "test", "--output", "json"], &["graph", "test"]] {
        let told = common::bootstrapper()
            .args(verb)
            .arg("--repo")
            .arg(encrypted.path())
            .env("PATH", &path)
            .env("XDG_CACHE_HOME", cache.path())
            .env("TMPDIR", cache.path())
            .env("SOPS_AGE_KEY_FILE", keeper.key())
            .env("BOOTSTRAPPER_LOG", "debug")
            .assert();
        told.stdout(predicates::str::contains(MARK).not()).stderr(predicates::str::contains(MARK).not());
    }
    let files = walkdir::WalkDir::new(cache.path()).into_iter().map(Result::unwrap);
    let written: Vec<_> = files.filter(|file| file.file_type().is_file()).collect();
    assert!(!written.is_empty(), "nothing was kept at all");
    for file in written {
        let content = fs::read(file.path()).unwrap();
        assert!(!String::from_utf8_lossy(&content).contains(MARK), "{}", file.path().display());
    }
}
