//! What is done to rendered manifests against the original: `internal/postrender` of helm-controller,
//! put together from the same packages.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::common;

use std::path::Path;

use bootstrapper::gitops::{HelmAction, Repository, SecretValues};
use bootstrapper::tools::{Environment, Kustomize};
use common::oracle;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const CASES: usize = 120;

#[derive(Debug, Serialize)]
struct Question {
    name: String,
    namespace: String,
    manifests: String,
    spec: Value,
}

#[derive(Deserialize)]
struct Answer {
    manifests: String,
    error: String,
}

/// As charts render them: with comments, odd scalars, lists, hooks, and nothing between two lines.
const MANIFESTS: [&str; 9] = [
    "# Source: x/templates/a.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  labels:\n    own: \"1\"\ndata:\n  yes: \"on\"\n  lines: |\n    one\n      two\n  octal: \"0755\"\n",
    "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: main\n  labels: {app: main}\nspec:\n  replicas: 1\n  selector: {matchLabels: {app: main}}\n  template:\n    metadata: {labels: {app: main}}\n    spec:\n      containers:\n        - name: main\n          image: example.org/main:1.0\n        - name: side\n          image: \"example.org/side@sha256:0000000000000000000000000000000000000000000000000000000000000000\"\n",
    "apiVersion: v1\nkind: Service\nmetadata: {name: main, namespace: other, annotations: {a: b}}\nspec: {ports: [{port: 80, targetPort: 0o17}], selector: {app: yes}}\n",
    "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: hook\n  annotations:\n    helm.sh/hook: pre-install\n    helm.sh/hook-weight: \"-5\"\nspec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: example.org/main:1.0}]}}}\n",
    "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ServiceAccount, metadata: {name: one}}\n- {apiVersion: v1, kind: ServiceAccount, metadata: {name: two, labels: null}}\n",
    "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.example.org}\nspec: {group: example.org, scope: Namespaced, names: {kind: Thing, plural: things}, versions: []}\n",
    "apiVersion: example.org/v1\nkind: Thing\nmetadata: {name: thing}\nspec: {ratio: 1.50, big: 12345678901, none: null, empty: {}, when: 2001-01-01, exp: 1e3}\n",
    "# nothing\n",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {again: \"true\"}\n",
];

fn renderers() -> impl Strategy<Value = Value> {
    let patches = vec![
        json!({"patch": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: any}\nspec: {replicas: 3}\n", "target": {"kind": "Deployment"}}),
        json!({"patch": "- op: add\n  path: /metadata/annotations/patched\n  value: \"1\"\n", "target": {"kind": "Service|Job", "name": "main|hook"}}),
        json!({"patch": "- op: remove\n  path: /data/lines\n", "target": {"kind": "ConfigMap", "labelSelector": "own=1"}}),
        json!({"patch": "apiVersion: v1\nkind: Service\nmetadata: {name: main, namespace: other}\n$patch: delete\n"}),
        json!({"patch": "- op: remove\n  path: /nowhere\n", "target": {"kind": "Thing"}}),
        json!({"patch": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: gone}\ndata: {x: y}\n"}),
    ];
    let images = vec![
        json!({"name": "example.org/main", "newTag": "2.0"}),
        json!({"name": "example.org/main", "newName": "mirror.test/main"}),
        json!({"name": "example.org/side", "digest": format!("sha256:{}", "1".repeat(64))}),
    ];
    let kustomize = (subsequence(patches, 0..3), subsequence(images, 0..3))
        .prop_map(|(patches, images)| json!({"kustomize": {"patches": patches, "images": images}}));
    prop_oneof![5 => kustomize, 1 => Just(json!({"kustomize": {}})), 1 => Just(json!({}))]
}

fn questions() -> impl Strategy<Value = (Vec<&'static str>, Value)> {
    let texts = || {
        select(vec![
            json!(null),
            json!({}),
            json!({"team": "a"}),
            json!({"team": "b", "own": "2", "helm.toolkit.fluxcd.io/name": "x"}),
        ])
    };
    let common = (texts(), texts(), any::<bool>()).prop_map(|(labels, annotations, is_there)| {
        if is_there { json!({"labels": labels, "annotations": annotations}) } else { Value::Null }
    });
    // The last is the first again, which kustomize refuses.
    let manifests = (subsequence(MANIFESTS[..8].to_vec(), 1..8), prop::bool::weighted(0.1));
    (manifests, prop::collection::vec(renderers(), 0..3), common).prop_map(
        |((mut manifests, twice), renderers, common)| {
            manifests.extend(twice.then_some(MANIFESTS[8]));
            (manifests, json!({"postRenderers": renderers, "commonMetadata": common}))
        },
    )
}

/// Every object by itself: Helm sorts them.
fn objects(manifests: &str) -> Vec<String> {
    let all: Vec<Value> = bootstrapper::yaml::from_multiple(manifests, Path::new("manifests")).unwrap();
    let mut all: Vec<String> = all.iter().filter(|one| !one.is_null()).map(Value::to_string).collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn rendered_manifests_become_what_helm_controller_makes_of_them() {
    let mut runner = TestRunner::deterministic();
    let questions: Vec<Question> = (0..CASES)
        .map(|number| {
            let (manifests, spec) = questions().new_tree(&mut runner).unwrap().current();
            let name = format!("case-{number:03}");
            Question { name, namespace: "apps".into(), manifests: manifests.join("---\n"), spec }
        })
        .collect();
    let repository = tempfile::tempdir().unwrap();
    let folder = repository.path().join("clusters/test/flux-system");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("gotk-sync.yaml"), common::sync("./clusters/test") + SOURCE).unwrap();
    let releases = questions.iter().map(|question| {
        let mut release = json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"name": question.name, "namespace": "apps"}, "spec": question.spec,
        });
        release["spec"]["chartRef"] = json!({"kind": "OCIRepository", "name": "chart"});
        release.to_string()
    });
    let text = releases.collect::<Vec<_>>().join("\n---\n");
    std::fs::write(repository.path().join("clusters/test/releases.yaml"), text).unwrap();

    let environment = Environment { path: vec![common::programs().to_owned()], ..Environment::default() };
    let kustomize = Kustomize::find(&environment).unwrap();
    let repository = Repository::open(&repository.path().canonicalize().unwrap()).unwrap();
    let declared = repository.load("test", &kustomize, &SecretValues::new()).await.unwrap();
    assert!(declared.problems.is_empty(), "{:?}", declared.problems);
    let answers: Vec<Answer> = oracle::ask("postrender", &questions);
    let refused = answers.iter().filter(|answer| !answer.error.is_empty()).count();
    assert!((CASES / 20..CASES / 2).contains(&refused), "{refused} are refused");
    let mut different = Vec::new();
    for (question, answer) in questions.iter().zip(answers) {
        let release = declared.release(&question.name).unwrap();
        let rendering = release.helm_request(HelmAction::Install).post_rendering;
        let ours = rendering.run(question.manifests.clone(), &environment).await;
        let is_same = match &ours {
            Ok(ours) => answer.error.is_empty() && objects(ours) == objects(&answer.manifests),
            Err(_) => !answer.error.is_empty(),
        };
        if !is_same {
            different.push(format!(
                "{question:#?}\n  ours {ours:?}\n  Flux's {} {}",
                answer.manifests, answer.error
            ));
        }
    }
    oracle::assert_none_differs(different, CASES);
}

/// Comes after the root Kustomization.
const SOURCE: &str = "---
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: chart, namespace: apps}
spec: {interval: 1h, url: oci://charts.test/chart, ref: {tag: 1.0.0}}
";
