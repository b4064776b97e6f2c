//! Somebody with few rights, on a real API server.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bootstrapper::cluster::{Cluster, ConnectOptions};
use bootstrapper::object::{Complete, Object, ObjectRef};
use k8s_openapi::api::authentication::v1::TokenRequest;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use super::order::{home_at, repository_of};

/// The cluster, as it knows itself, and the context of whoever may do everything there.
const ADMIN: &str = "infra";

const TASKS: &str = "stages:
- name: s
  steps:
  - objects: c.yaml
  - wait: {object: {apiVersion: apps/v1, kind: Deployment, namespace: kube-system, name: coredns}}
    timeout: 20s
";

/// What hangs is a failure; a refusal takes a second.
const LIMIT: Duration = Duration::from_mins(3);

/// The exit code of a refusal.
const REFUSED: i32 = 5;

/// Verbs, in the order in which somebody would come to them.
const VERBS: [&[&str]; 3] = [&["plan", ADMIN], &["status", ADMIN], &[ADMIN, "--progress", "plain"]];

/// More rights than these few steps could need.
const MOST: usize = 12;

/// Each verb names the rights that lack, soon; whoever grants just these comes to the end; and nothing is
/// written before.
pub(crate) async fn whoever_lacks_a_right_is_told_which(admin: &Path) {
    let options = ConnectOptions { kubeconfig: Some(admin.to_owned()), context: ADMIN.into() };
    let cluster = Cluster::connect(&options).await.unwrap();
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "limited", "namespace": "default"}});
    apply(&cluster, account).await;
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "limited"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "limited"},
        "subjects": [{"kind": "ServiceAccount", "name": "limited", "namespace": "default"}]});
    apply(&cluster, binding).await;
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = kubeconfig_of_account(admin, folder.path()).await;
    let repository = repository_of(ADMIN, TASKS);
    let object = "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: default}, data: {a: b}}\n";
    std::fs::write(repository.path().join("c.yaml"), object).unwrap();

    let mut rights: BTreeSet<(String, String)> = BTreeSet::new();
    let written = ObjectRef::namespaced("v1", "ConfigMap", "default", "c");
    for verb in VERBS {
        loop {
            grant(&cluster, &rights).await;
            let output = home_at(verb, repository.path(), &kubeconfig).timeout(LIMIT).output().unwrap();
            let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            if output.status.code() != Some(REFUSED) {
                assert!(matches!(output.status.code(), Some(0 | 1)), "{verb:?} with {rights:?}:\n{said}");
                break;
            }
            let may_write =
                rights.iter().any(|(verbs, what)| what == "configmaps" && verbs.contains("patch"));
            let is_there = cluster.get(&written).await.unwrap().is_some();
            assert!(may_write || !is_there, "written without the right to:\n{said}");
            let before = rights.len();
            rights.extend(advice(&said));
            assert!(rights.len() > before, "{verb:?} with {rights:?} names no right that lacks:\n{said}");
            assert!(rights.len() <= MOST, "{rights:?}");
        }
    }
    assert!(cluster.get(&written).await.unwrap().is_some(), "with {rights:?} the run has done its work");
}

/// `grant list,watch on configmaps in namespace x (…)`: verbs and resource.
fn advice(said: &str) -> Vec<(String, String)> {
    let after = said.lines().filter_map(|line| line.split_once("grant ")).map(|(_, words)| words);
    let pairs = after.filter_map(|words| words.split_once(" on "));
    pairs
        .filter_map(|(verbs, rest)| Some((verbs.to_owned(), rest.split_whitespace().next()?.to_owned())))
        .collect()
}

async fn grant(cluster: &Cluster, rights: &BTreeSet<(String, String)>) {
    let rules: Vec<Value> = rights
        .iter()
        .map(|(verbs, resource)| {
            let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
            json!({"apiGroups": [group], "resources": [resource], "verbs": verbs.split(',').collect::<Vec<_>>()})
        })
        .collect();
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "limited"}, "rules": rules});
    apply(cluster, role).await;
}

async fn apply(cluster: &Cluster, object: Value) {
    let object: Object = serde_json::from_value(object).unwrap();
    cluster.apply_as("test", &Complete::of_own(object), true).await.unwrap();
}

/// A kubeconfig with the context `c`, whose user is the account.
async fn kubeconfig_of_account(admin: &Path, folder: &Path) -> PathBuf {
    let mut config = Kubeconfig::read_from(admin).unwrap();
    let options = KubeConfigOptions::default();
    let client = kube::Config::from_custom_kubeconfig(config.clone(), &options).await.unwrap();
    let client = kube::Client::try_from(client).unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(client, "default");
    let (parameters, request) = (PostParams::default(), TokenRequest::default());
    let answer = accounts.create_token_request("limited", &parameters, &request).await.unwrap();
    let token = answer.status.unwrap().token;
    config.contexts.retain(|context| context.name == ADMIN);
    config.contexts[0].name = "c".into();
    let mut text = serde_json::to_value(&config).unwrap();
    text["users"][0]["user"] = json!({"token": token});
    let file = folder.join("kubeconfig");
    std::fs::write(&file, text.to_string()).unwrap();
    file
}
