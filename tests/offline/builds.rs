//! What Kustomizations build to against the original: `fluxcd/pkg/kustomize`, put together as
//! kustomize-controller does.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bootstrapper::gitops::{Declared, Kustomization, Repository, SecretValues, UNKNOWN};
use bootstrapper::object::Object;
use bootstrapper::pipeline::Config;
use bootstrapper::tools::{Environment, Kustomize};
use common::oracle;
use common::trees::{Case, cases};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const CASES: usize = 200;

#[derive(Serialize)]
struct Question {
    root: String,
    kustomization: Value,
    folder: String,
    /// By kind, name and key.
    sources: BTreeMap<String, BTreeMap<String, BTreeMap<String, String>>>,
}

#[derive(Deserialize)]
struct Answer {
    objects: Option<Vec<Value>>,
    error: String,
}

fn load(root: &Path, cluster: &str) -> Declared {
    let environment = Environment { path: vec![common::programs().to_owned()], ..Environment::default() };
    let kustomize = Kustomize::find(&environment).unwrap();
    let entries = Config::load(root).unwrap().entries();
    let repository = Repository::open_with(root, &entries).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(repository.load(cluster, &kustomize, &SecretValues::new())).unwrap()
}

/// What Flux would ask of a Kustomization in that cluster.
fn question(root: &Path, declared: &Declared, kustomization: &Kustomization) -> Question {
    let mut sources =
        BTreeMap::from([("ConfigMap".to_owned(), BTreeMap::new()), ("Secret".to_owned(), BTreeMap::new())]);
    for object in declared.objects().filter(|object| object.data["data"].is_object()) {
        let (kind, name) = (object.types.clone().unwrap().kind, object.metadata.name.clone().unwrap());
        let data = serde_json::from_value(object.data["data"].clone());
        if let (Some(of_kind), Ok(data)) = (sources.get_mut(&kind).filter(|_| kind == "ConfigMap"), data) {
            of_kind.insert(name, data);
        }
    }
    // What only the cluster knows is given as our side shows it.
    let unknown: BTreeMap<String, String> =
        kustomization.unknown_variables.iter().map(|name| (name.clone(), UNKNOWN.to_owned())).collect();
    let from = kustomization.object.data["spec"]["postBuild"]["substituteFrom"].as_array();
    let secrets = from.into_iter().flatten().filter(|from| from["kind"] == "Secret");
    for name in secrets.filter_map(|from| from["name"].as_str()) {
        sources.get_mut("Secret").unwrap().insert(name.to_owned(), unknown.clone());
    }
    Question {
        root: root.display().to_string(),
        kustomization: serde_json::to_value(&kustomization.object).unwrap(),
        folder: kustomization.path.display().to_string(),
        sources,
    }
}

/// Objects by what names them: no object depends on the order of others.
fn named(objects: impl IntoIterator<Item = Value>) -> BTreeMap<String, Value> {
    let name = |object: &Value| {
        let metadata = &object["metadata"];
        format!("{} {} {}/{}", object["apiVersion"], object["kind"], metadata["namespace"], metadata["name"])
    };
    objects.into_iter().map(|object| (name(&object), without_builder(object))).collect()
}

/// `managedByLabel` names the program that built, which is another one by nature.
fn without_builder(mut object: Value) -> Value {
    if let Some(Value::String(builder)) = object.pointer_mut("/metadata/labels/app.kubernetes.io~1managed-by")
    {
        let end = builder.find("kustomize-").map_or(builder.len(), |at| at + "kustomize".len());
        builder.truncate(end);
    }
    object
}

fn differences(ours: &[Object], theirs: Vec<Value>) -> Vec<String> {
    let count = (ours.len(), theirs.len());
    let ours = named(ours.iter().map(|object| serde_json::to_value(object).unwrap()));
    let theirs = named(theirs);
    let mut different = Vec::new();
    if count.0 != count.1 {
        different.push(format!("{} objects, Flux's {}", count.0, count.1));
    }
    for name in ours.keys().chain(theirs.keys().filter(|name| !ours.contains_key(*name))) {
        let (ours, theirs) = (ours.get(name), theirs.get(name));
        if ours != theirs {
            let told = |one: Option<&Value>| one.map_or("nothing".to_owned(), Value::to_string);
            different.push(format!("{name}:\n    ours {}\n    Flux's {}", told(ours), told(theirs)));
        }
    }
    different
}

#[test]
fn generated_trees_build_as_flux_builds_them() {
    let repository = tempfile::tempdir().unwrap();
    let root = repository.path().canonicalize().unwrap();
    let cases = cases(CASES);
    let write = |file: &str, text: &str| {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let kustomizations: Vec<String> = cases.iter().map(|case| case.kustomization.to_string()).collect();
    for case in &cases {
        for (file, text) in &case.files {
            write(&format!("trees/{}/{file}", case.name), text);
        }
    }
    // What is built by way of a link is not kept: each run builds, and leaves people's cache alone.
    std::os::unix::fs::symlink("trees", root.join("cases")).unwrap();
    write("kubernetes/clusters/test/flux-system/gotk-sync.yaml", &common::sync("./kubernetes/clusters/test"));
    write("kubernetes/clusters/test/settings.yaml", SETTINGS);
    write("kubernetes/clusters/test/cases.yaml", &kustomizations.join("\n---\n"));
    let declared = load(&root, "test");
    let questions: Vec<Question> = cases
        .iter()
        .map(|case| {
            // Of its own tree only: the original copies all that it is shown.
            let root = root.join("cases").join(&case.name).display().to_string();
            let asked = question(Path::new(""), &declared, declared.kustomization(&case.name).unwrap());
            Question { root, folder: "app".to_owned(), ..asked }
        })
        .collect();
    let answers: Vec<Answer> = oracle::ask("kustomize", &questions);
    let refused = answers.iter().filter(|answer| !answer.error.is_empty()).count();
    assert!((CASES / 20..CASES / 2).contains(&refused), "{refused} are refused");
    let problem_of = |case: &Case| {
        declared
            .problems
            .iter()
            .map(|one| format!("{} {:?}", one.failure.what, one.failure.because))
            .find(|told| told.contains(&case.name))
    };
    let mut different = Vec::new();
    for (case, answer) in cases.iter().zip(answers) {
        let told = match (problem_of(case), answer.objects) {
            (Some(_), None) => Vec::new(),
            (Some(problem), Some(_)) => vec![format!("refused only by us: {problem}")],
            (None, None) => vec![format!("refused only by Flux: {}", answer.error)],
            (None, Some(theirs)) => differences(&declared.kustomization(&case.name).unwrap().objects, theirs),
        };
        different.extend(told.into_iter().map(|told| format!("{case:#?}\n  {told}")));
    }
    oracle::assert_none_differs(different, CASES);
}

const SETTINGS: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: cluster-settings, namespace: flux-system}
data: {DOMAIN: home.test, REPLICAS: \"3\", EMPTY: \"\", LINES: \"one\\ntwo\\n\"}
";

fn compare_all(root: &Path, clusters: &[&str], at_least: usize) {
    let mut compared = 0;
    let mut different = Vec::new();
    for cluster in clusters {
        let declared = load(root, cluster);
        let here: Vec<&Kustomization> = declared.kustomizations.iter().filter(|one| one.is_here).collect();
        let questions: Vec<Question> = here.iter().map(|one| question(root, &declared, one)).collect();
        let answers: Vec<Answer> = oracle::ask("kustomize", &questions);
        for (kustomization, answer) in here.iter().zip(answers) {
            // ResourceSets are rendered by their operator, not by the build.
            let own: Vec<Object> = kustomization.own_objects().map(|(_, object)| object.clone()).collect();
            compared += own.len();
            let told = match answer.objects {
                Some(theirs) => differences(&own, theirs),
                None => vec![format!("refused by Flux: {}", answer.error)],
            };
            different.extend(told.into_iter().map(|told| format!("{cluster} {}: {told}", kustomization.id)));
        }
    }
    assert!(compared >= at_least, "only {compared} objects");
    oracle::assert_none_differs(different, compared);
}

#[test]
fn repositories_of_others_build_as_flux_builds_them() {
    let repositories = common::root().join("tests/fixtures/repositories");
    for name in ["home", "monorepo", "stages"] {
        let root = repositories.join(name).canonicalize().unwrap();
        let entries = Config::load(&root).unwrap().entries();
        let repository = Repository::open_with(&root, &entries).unwrap();
        let all: Vec<&str> = repository.clusters.iter().map(String::as_str).collect();
        compare_all(&root, &all, 10);
    }
}

#[test]
fn this_repository_builds_as_flux_builds_it() {
    let copy = common::repository();
    compare_all(&copy.path().canonicalize().unwrap(), &["infra", "apps"], 20);
}
