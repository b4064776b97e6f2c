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
    let files: Vec<&str> = paths.filter(|word| word.ends_with(".rs")).collect();
    assert!(files.len() > 20, "{files:?}");
    for file in files {
        let crates = if file.starts_with("src/") { "" } else { "crates" };
        assert!(root().join(crates).join(file).is_file(), "{file}");
    }
}

/// Pure rules need no runtime, and nothing of the network.
#[test]
fn what_is_pure_waits_for_nothing() {
    for name in ["core", "readiness", "diagnosis", "validation"] {
        let manifest = std::fs::read_to_string(root().join(format!("crates/{name}/Cargo.toml"))).unwrap();
        let needed = manifest.split("[dev-dependencies]").next().unwrap();
        for runtime in ["tokio", "hyper", "async-trait", "duct"] {
            assert!(!needed.contains(runtime), "{name} needs {runtime}");
        }
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
