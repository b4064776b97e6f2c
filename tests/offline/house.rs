//! The house is as its picture shows it.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use crate::common::root;

/// What a crate depends on, of those of this workspace.
type Arrows = BTreeMap<String, BTreeSet<String>>;

/// `steps -> cluster, core`, in the first block of `house.md`.
fn drawn() -> Arrows {
    let page = std::fs::read_to_string(root().join("docs/design/house.md")).unwrap();
    let picture = page.split("```").nth(1).unwrap();
    let lines = picture.lines().filter_map(|line| line.split_once("->"));
    let names = |text: &str| {
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    lines.map(|(name, others)| (name.trim().to_owned(), names(others))).collect()
}

fn built() -> Arrows {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let own = |name: &serde_json::Value| name.as_str()?.strip_prefix("bootstrapper-").map(str::to_owned);
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .filter_map(|package| {
            let dependencies = package["dependencies"].as_array()?;
            // Of dependencies for tests, `kind` says so.
            let needed = dependencies.iter().filter(|one| one["kind"].is_null());
            Some((own(&package["name"])?, needed.filter_map(|one| own(&one["name"])).collect()))
        })
        .collect()
}

#[test]
fn arrows_are_as_the_picture_shows_them() {
    assert_eq!(drawn(), built());
}

/// The paths that the page tells lead through files that exist.
#[test]
fn the_paths_lead_through_files_that_exist() {
    let page = std::fs::read_to_string(root().join("docs/design/house.md")).unwrap();
    let paths = page.split('`').filter(|word| word.contains("/src/") || word.starts_with("src/"));
    let is_rust = |word: &&str| std::path::Path::new(word).extension().is_some_and(|one| one == "rs");
    let files: Vec<&str> = paths.filter(is_rust).collect();
    assert!(files.len() > 20, "{files:?}");
    for file in files {
        let crates = if file.starts_with("src/") { "" } else { "crates" };
        assert!(root().join(crates).join(file).is_file(), "{file}");
    }
}

/// Pure rules need no runtime, and nothing of the network.
/// The packages that cargo builds for one, without those of tests.
fn tree(arguments: &[&str]) -> BTreeSet<String> {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .arg("--manifest-path")
        .arg(root().join("Cargo.toml"))
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn sandboxes_are_a_feature() {
    let has_sandbox = |arguments: &[&str]| {
        tree(&[&["--package", "bootstrapper"], arguments].concat()).contains("bootstrapper-sandbox")
    };
    assert!(has_sandbox(&[]));
    assert!(!has_sandbox(&["--no-default-features"]));
}

#[test]
fn what_a_sandbox_runs_of_itself_is_no_verb_of_the_product() {
    use std::os::unix::process::CommandExt as _;
    let help = |name: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_bootstrapper"));
        let output = command.arg0(name).args(["netexec", "--help"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let is_verb = |name: &str| help(name).contains("--udp-port");
    assert!(!is_verb("bootstrapper"));
    for name in ["/sandboxes/infra/bin/bootstrapper-sandbox", "agnhost"] {
        assert!(is_verb(name), "{}", help(name));
    }
}

/// Pure crates have neither an async runtime nor a network in all that cargo builds for them.
#[test]
fn what_is_pure_waits_for_nothing() {
    const RUNTIME: [&str; 4] = ["tokio", "futures", "async-trait", "duct"];
    const NETWORK: [&str; 5] = ["hyper", "rustls", "tower", "kube", "kube-client"];
    let lacks = |name: &str, unwanted: &[&str]| {
        let built = tree(&["--package", &format!("bootstrapper-{name}")]);
        let found: Vec<&&str> = unwanted.iter().filter(|one| built.contains(**one)).collect();
        assert!(found.is_empty(), "{name} needs {found:?}");
    };
    for name in ["core", "readiness", "diagnosis", "convert"] {
        lacks(name, &RUNTIME);
        lacks(name, &NETWORK);
    }
    // These run things, and know no server.
    for name in ["engine", "report"] {
        lacks(name, &NETWORK);
    }
    // It judges what `gitops` has loaded, which runs git and kustomize: itself it asks for none of it.
    let manifest = std::fs::read_to_string(root().join("crates/validation/Cargo.toml")).unwrap();
    let needed = manifest.split("[dev-dependencies]").next().unwrap();
    for unwanted in RUNTIME.iter().chain(&NETWORK) {
        assert!(!needed.contains(unwanted), "validation needs {unwanted}");
    }
}

/// Each dependency is said, and nothing else.
#[test]
fn every_dependency_is_said() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, after) = manifest.split_once("[workspace.dependencies]\n").unwrap();
    let block = after.split("\n\n").next().unwrap();
    let names = block.lines().filter_map(|line| line.split(" = ").next());
    let declared: BTreeSet<&str> = names.filter(|name| !name.starts_with("bootstrapper-")).collect();
    let page = std::fs::read_to_string(root().join("docs/design/dependencies.md")).unwrap();
    let cells = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let said: BTreeSet<&str> = cells.filter(|cell| !matches!(*cell, "crate" | "---")).collect();
    assert_eq!(said, declared);
}
