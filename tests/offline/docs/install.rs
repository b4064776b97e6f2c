//! What installs the program is consistent with it: workflow, archives, formula, Job, packages.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use bootstrapper::cli::Args;
use bootstrapper::yaml;
use clap::Parser as _;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, ServiceAccount};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use regex::Regex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::common::root;

const TARGETS: [&str; 3] =
    ["aarch64-apple-darwin", "aarch64-unknown-linux-musl", "x86_64-unknown-linux-musl"];

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn workflow() -> Value {
    yaml::from_multiple(&read(".github/workflows/release.yml"), Path::new("release.yml")).unwrap().remove(0)
}

/// Every `uses:` of a value.
fn uses(value: &Value, all: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            all.extend(fields.get("uses").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|field| uses(field, all));
        }
        Value::Array(items) => items.iter().for_each(|item| uses(item, all)),
        _ => {}
    }
}

#[test]
fn actions_are_pinned_by_commit_or_the_page_says_how() {
    let mut all = Vec::new();
    uses(&workflow(), &mut all);
    assert!(all.len() > 5, "{all:?}");
    let by_commit = Regex::new("@[0-9a-f]{40}$").unwrap();
    let page = read("docs/install.md");
    for action in all.iter().filter(|action| !by_commit.is_match(action)) {
        let (name, _) = action.split_once('@').unwrap();
        assert!(page.contains(&format!("`{name}`")), "{action} is not pinned by commit");
    }
}

/// A job gets the permissions that it needs, and no others by default.
#[test]
fn the_release_builds_every_target_and_writes_only_where_it_must() {
    let workflow = workflow();
    assert_eq!(workflow["permissions"], serde_json::json!({"contents": "read"}));
    assert!(workflow["jobs"]["binary"].get("permissions").is_none());
    let matrix = workflow["jobs"]["binary"]["strategy"]["matrix"]["include"].as_array().unwrap();
    let targets: BTreeSet<&str> = matrix.iter().map(|one| one["target"].as_str().unwrap()).collect();
    assert_eq!(targets, BTreeSet::from(TARGETS));
    let scripts = Regex::new(r"deploy/(\w+)").unwrap();
    let text = read(".github/workflows/release.yml");
    for script in scripts.captures_iter(&text).map(|found| found[0].to_owned()) {
        assert!(root().join(&script).exists(), "{script}");
    }
}

/// The archive is called as everyone looks for it, and has the program at its top.
#[test]
fn an_archive_is_what_binstall_and_mise_look_for() {
    let folder = tempfile::tempdir().unwrap();
    let target = TARGETS[2];
    let built = folder.path().join(target).join("release");
    std::fs::create_dir_all(&built).unwrap();
    std::fs::write(built.join("bootstrapper"), "program").unwrap();
    let packed = Command::new(root().join("deploy/archive"))
        .arg(target)
        .env("CARGO_TARGET_DIR", folder.path())
        .output()
        .unwrap();
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    let archive = folder.path().join("release-files").join(format!("bootstrapper-{target}.tar.gz"));
    let listed = Command::new("tar").arg("-tzf").arg(&archive).output().unwrap();
    let names = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(names.lines().collect::<Vec<_>>(), ["bootstrapper", "LICENSE", "README.md", "CHANGELOG.md"]);
    let manifest = read("Cargo.toml");
    assert!(manifest.contains("/releases/download/v{ version }/{ name }-{ target }.tar.gz"), "binstall");
}

#[test]
fn the_formula_is_filled_in() {
    let folder = tempfile::tempdir().unwrap();
    let sums = folder.path().join("SHA256SUMS");
    let lines = TARGETS
        .iter()
        .enumerate()
        .map(|(at, target)| format!("{}  bootstrapper-{target}.tar.gz\n", at.to_string().repeat(64)));
    std::fs::write(&sums, lines.collect::<String>()).unwrap();
    let fill = |sums: &Path| {
        let arguments = ["1.2.3", "https://git.example.org/bootstrapper"];
        Command::new(root().join("deploy/formula")).args(arguments).arg(sums).output().unwrap()
    };
    let output = fill(&sums);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let formula = String::from_utf8(output.stdout).unwrap();
    assert!(!Regex::new("@[A-Z]").unwrap().is_match(&formula), "{formula}");
    let digests: Vec<String> =
        (0..TARGETS.len()).map(|at| format!("sha256 \"{}\"", at.to_string().repeat(64))).collect();
    assert!(digests.iter().all(|digest| formula.contains(digest)), "{formula}");
    let file = folder.path().join("bootstrapper.rb");
    std::fs::write(&file, formula).unwrap();
    match Command::new("ruby").arg("-c").arg(&file).output() {
        Ok(checked) => assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr)),
        Err(_) => eprintln!("Ruby is not installed here: the formula was only filled in"),
    }
    std::fs::write(&sums, "").unwrap();
    assert!(!fill(&sums).status.success(), "a formula without digests");
}

/// Every field is one of its type.
fn strict<T: DeserializeOwned + Serialize>(document: &Value) -> T {
    let typed: T = serde_json::from_value(document.clone()).unwrap();
    assert_eq!(&serde_json::to_value(&typed).unwrap(), document);
    typed
}

#[test]
fn the_job_consists_of_known_fields_and_its_arguments_parse() {
    let documents: Vec<Value> = yaml::from_multiple(&read("deploy/job.yaml"), Path::new("job.yaml")).unwrap();
    let of = |kind: &str| documents.iter().find(|document| document["kind"] == kind).unwrap();
    strict::<Namespace>(of("Namespace"));
    strict::<ServiceAccount>(of("ServiceAccount"));
    strict::<ClusterRoleBinding>(of("ClusterRoleBinding"));
    let job = strict::<Job>(of("Job"));
    let pod = job.spec.unwrap().template.spec.unwrap();
    let container = &pod.containers[0];
    let call = std::iter::once("bootstrapper".to_owned()).chain(container.args.clone().unwrap());
    Args::try_parse_from(call).unwrap();
    let volumes: BTreeSet<&str> = pod.volumes.iter().flatten().map(|volume| volume.name.as_str()).collect();
    let mounts: BTreeSet<&str> =
        container.volume_mounts.iter().flatten().map(|mount| mount.name.as_str()).collect();
    assert_eq!(volumes, mounts);
    let config = strict::<ConfigMap>(of("ConfigMap")).data.unwrap().remove("config").unwrap();
    let config: kube::config::Kubeconfig =
        yaml::from_multiple(&config, Path::new("config")).unwrap().remove(0);
    let context = format!("--context={}", config.contexts[0].name);
    assert!(container.args.iter().flatten().any(|argument| *argument == context));
}

/// What `cargo package` puts into the package of the program: the program, and nothing of the repository around it.
#[test]
fn the_package_is_the_program() {
    let output = Command::new(env!("CARGO"))
        .args(["package", "--list", "--offline", "--allow-dirty", "--package", "bootstrapper"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).unwrap();
    let tops: BTreeSet<&str> = listed.lines().filter_map(|path| path.split('/').next()).collect();
    let wanted = [
        "CHANGELOG.md",
        "Cargo.lock",
        "Cargo.toml",
        "Cargo.toml.orig",
        "LICENSE",
        "README.md",
        "SECURITY.md",
        "src",
    ];
    let unwanted: Vec<&&str> =
        tops.iter().filter(|top| !wanted.contains(top) && **top != ".cargo_vcs_info.json").collect();
    assert!(unwanted.is_empty(), "{unwanted:?}");
    assert!(wanted.iter().all(|top| tops.contains(top)), "{tops:?}");
}
