//! `renovate.json` finds every version that the layout declares.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::path::Path;

use bootstrapper::yaml;
use regex::Regex;
use serde_json::Value;

use crate::common::root;

/// What has no source of versions: Cilium's own number for its CRDs.
const BY_HAND: [&str; 1] = ["io.cilium.k8s.crd.schema.version"];

/// A version, with two or three numbers. Addresses have four.
const VERSION: &str = r"\bv?\d+(\.\d+){1,2}(-[a-z]+)*\b";

fn config() -> Value {
    serde_json::from_str(&std::fs::read_to_string(root().join("renovate.json")).unwrap()).unwrap()
}

/// Whether one of the patterns, `/…/` each, matches a path.
fn matches_path(manager: &Value, path: &str) -> bool {
    let patterns = manager["managerFilePatterns"].as_array().unwrap();
    patterns.iter().any(|pattern| {
        let pattern = pattern.as_str().unwrap();
        Regex::new(pattern.trim_matches('/')).unwrap().is_match(path)
    })
}

/// Lines (from 0) between two offsets of a text.
fn lines(text: &str, from: usize, to: usize) -> impl Iterator<Item = usize> {
    let line = |offset: usize| text[..offset].matches('\n').count();
    line(from)..=line(to)
}

/// The lines that the custom managers match, of a file.
fn by_custom_managers(config: &Value, path: &str, text: &str) -> BTreeSet<usize> {
    let managers = config["customManagers"].as_array().unwrap();
    let strings = managers
        .iter()
        .filter(|manager| matches_path(manager, path))
        .flat_map(|manager| manager["matchStrings"].as_array().unwrap());
    let mut found = BTreeSet::new();
    for string in strings {
        let pattern = Regex::new(string.as_str().unwrap()).unwrap();
        for captures in pattern.captures_iter(text) {
            let value = captures.name("currentValue").unwrap();
            found.extend(lines(text, value.start(), value.end()));
            // A digest is replaced wherever the match has it.
            if captures.name("currentDigest").is_some() {
                let whole = captures.get(0).unwrap();
                found.extend(lines(text, whole.start(), whole.end()));
            }
        }
    }
    found
}

/// The lines that the manager `flux` updates: tags of OCI artifacts, and versions of charts.
fn by_flux(path: &Path, text: &str) -> BTreeSet<usize> {
    let objects: Vec<Value> = yaml::from_multiple(text, path).unwrap();
    let declared = objects.iter().filter_map(|object| match object["kind"].as_str()? {
        "OCIRepository" => Some(format!("tag: {}", object["spec"]["ref"]["tag"].as_str()?)),
        "HelmRelease" => Some(format!("version: {}", object["spec"]["chart"]["spec"]["version"].as_str()?)),
        _ => None,
    });
    let declared: Vec<String> = declared.collect();
    let is_declared = |line: &str| declared.iter().any(|one| line.trim() == one);
    text.lines().enumerate().filter(|(_, line)| is_declared(line)).map(|(number, _)| number).collect()
}

/// The lines that the manager `kubernetes` updates: images.
fn by_kubernetes(text: &str) -> BTreeSet<usize> {
    let image = Regex::new(r"^\s*-?\s*image: \S+:\S+$").unwrap();
    text.lines().enumerate().filter(|(_, line)| image.is_match(line)).map(|(number, _)| number).collect()
}

#[test]
fn every_version_has_a_manager() {
    let config = config();
    let version = Regex::new(VERSION).unwrap();
    let address = Regex::new(r"\d+\.\d+\.\d+\.\d+").unwrap();
    let quantity = Regex::new(r"[:>] ?\d\.\d+$").unwrap();
    let commit = Regex::new(r"\b[a-f0-9]{40}\b").unwrap();
    let mut seen = 0;
    let mut unmanaged = Vec::new();
    for entry in walkdir::WalkDir::new(root().join("kubernetes")) {
        let file = entry.unwrap().into_path();
        if file.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let path = file.strip_prefix(root()).unwrap().display().to_string();
        let text = std::fs::read_to_string(&file).unwrap();
        let mut managed = by_custom_managers(&config, &path, &text);
        if matches_path(&config["flux"], &path) {
            managed.extend(by_flux(&file, &text));
        }
        if matches_path(&config["kubernetes"], &path) {
            managed.extend(by_kubernetes(&text));
        }
        for (number, line) in text.lines().enumerate() {
            let is_comment = line.trim_start().starts_with('#');
            let has_version = version.is_match(&address.replace_all(line, "")) && !quantity.is_match(line);
            if is_comment || !(has_version || commit.is_match(line)) {
                continue;
            }
            if managed.contains(&number) {
                seen += 1;
            } else if !BY_HAND.iter().any(|name| line.contains(name)) {
                unmanaged.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    assert!(unmanaged.is_empty(), "no manager of renovate.json finds:\n{}", unmanaged.join("\n"));
    assert!(seen > 30, "{seen} versions");
}

/// Each custom manager has something to update.
#[test]
fn no_manager_is_idle() {
    let config = config();
    for manager in config["customManagers"].as_array().unwrap() {
        let files = walkdir::WalkDir::new(root().join("kubernetes")).into_iter().map(|entry| entry.unwrap());
        let is_busy = files.filter(|entry| entry.file_type().is_file()).any(|entry| {
            let path = entry.path().strip_prefix(root()).unwrap().display().to_string();
            let text = std::fs::read_to_string(entry.path()).unwrap();
            let alone = serde_json::json!({"customManagers": [manager]});
            !by_custom_managers(&alone, &path, &text).is_empty()
        });
        assert!(is_busy, "{}", manager["description"]);
    }
}
