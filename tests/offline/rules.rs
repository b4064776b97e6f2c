//! Every rule of `bootstrapper validate` on small broken repositories, and on their near misses.
//!
//! An example is a file in `tests/broken/`: what it changes of `tests/broken/base`, which is valid,
//! where the fault is found, and a near miss that must pass: other edits with the same files. Its
//! name is that of the rule, and a word of its own after `--` if the rule has several.
//!
//! `EXAMPLE=cyclic cargo test --test offline rules::` runs those whose name holds that.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use crate::common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bootstrapper::yaml;
use common::{bootstrapper, copy_folder, root};
use serde::Deserialize;
use tempfile::TempDir;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Example {
    /// The rule that must catch it.
    rule: String,
    /// `file:line`, where it must be found; `-` if the fault has no place.
    at: String,
    /// What to change of the base.
    #[serde(flatten)]
    broken: Change,
    /// The edits to make instead, and more files, and all is well.
    near_miss: Option<NearMiss>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NearMiss {
    #[serde(default)]
    files: BTreeMap<PathBuf, String>,
    #[serde(default)]
    edits: Vec<Edit>,
}

#[derive(Deserialize)]
struct Change {
    /// Files that are added or replaced.
    #[serde(default)]
    files: BTreeMap<PathBuf, String>,
    /// Texts that are replaced.
    #[serde(default)]
    edits: Vec<Edit>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    file: PathBuf,
    from: String,
    to: String,
}

#[derive(Debug, Deserialize)]
struct Findings {
    findings: Vec<Finding>,
}

#[derive(Debug, Deserialize)]
struct Finding {
    rule: String,
    severity: String,
    message: String,
    why: String,
    fix: String,
    location: Option<Place>,
}

#[derive(Debug, Deserialize)]
struct Place {
    file: PathBuf,
    line: usize,
}

impl Finding {
    fn place(&self) -> String {
        self.location
            .as_ref()
            .map_or_else(|| "-".to_owned(), |at| format!("{}:{}", at.file.display(), at.line))
    }
}

fn base() -> PathBuf {
    root().join("tests/broken/base")
}

fn changed(files: &BTreeMap<PathBuf, String>, edits: &[Edit]) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&base(), copy.path());
    for (file, content) in files {
        let file = copy.path().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }
    for Edit { file, from, to } in edits {
        let path = copy.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{} has no {from:?}", file.display());
        std::fs::write(path, text.replacen(from, to, 1)).unwrap();
    }
    copy
}

fn findings(repository: &Path) -> Vec<Finding> {
    let output =
        bootstrapper().args(["validate", "--output", "json", "--repo"]).arg(repository).output().unwrap();
    let read: Result<Findings, _> = serde_json::from_slice(&output.stdout);
    read.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))).findings
}

/// What could not be checked is of no account to an example of another rule.
fn of_account(findings: Vec<Finding>, rule: &str) -> Vec<Finding> {
    findings.into_iter().filter(|one| one.severity != "info" || one.rule == rule).collect()
}

fn told(findings: &[Finding]) -> String {
    let told: Vec<String> =
        findings.iter().map(|one| format!("    {} at {}: {}", one.rule, one.place(), one.message)).collect();
    format!("\n{}", told.join("\n"))
}

/// What is not as an example says.
fn faults(example: &Example) -> Vec<String> {
    let mut faults = Vec::new();
    let broken = findings(changed(&example.broken.files, &example.broken.edits).path());
    let broken = of_account(broken, &example.rule);
    match broken.as_slice() {
        [one] if one.rule == example.rule && one.place() == example.at => {
            if one.why.is_empty() || one.fix.is_empty() {
                faults.push("says neither why nor what to do".to_owned());
            }
        }
        others => faults.push(format!("wanted {} at {}, found{}", example.rule, example.at, told(others))),
    }
    if let Some(near) = &example.near_miss {
        let files = example.broken.files.clone().into_iter().chain(near.files.clone()).collect();
        let near = of_account(findings(changed(&files, &near.edits).path()), &example.rule);
        if !near.is_empty() {
            faults.push(format!("the near miss is no miss:{}", told(&near)));
        }
    }
    faults
}

fn examples() -> Vec<(String, Example)> {
    let entries = std::fs::read_dir(root().join("tests/broken")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.is_file()).collect();
    files.sort();
    let read = files.into_iter().map(|file| {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let example: Example = yaml::from_str(&std::fs::read_to_string(&file).unwrap(), &file)
            .unwrap_or_else(|failure| panic!("{failure} {:?}", failure.location));
        let of_rule = name.split("--").next().unwrap();
        assert_eq!(of_rule, example.rule, "{name} is named after another rule");
        (name, example)
    });
    read.collect()
}

#[test]
fn the_base_is_valid() {
    let found = findings(&base());
    assert!(found.is_empty(), "{}", told(&found));
}

#[test]
fn each_rule_finds_its_examples_and_lets_the_near_misses_pass() {
    let examples = examples();
    let wanted = std::env::var("EXAMPLE").unwrap_or_default();
    let (next, faulty) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some((name, example)) = examples.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !name.contains(&wanted) {
                        continue;
                    }
                    let found = faults(example).into_iter().map(|fault| format!("{name}: {fault}"));
                    faulty.lock().unwrap().extend(found);
                }
            });
        }
    });
    let mut faulty = faulty.into_inner().unwrap();
    faulty.sort();
    assert!(faulty.is_empty(), "{} of {}:\n{}", faulty.len(), examples.len(), faulty.join("\n"));
}

/// What charts say is found with charts: `tests/cluster/end_to_end.rs`.
const WITH_CHARTS: [&str; 3] = ["values-refused", "chart-unfit", "chart-unfetchable"];

#[test]
fn every_rule_has_an_example_and_a_near_miss() {
    let examples = examples();
    let with_example: BTreeSet<&str> = examples.iter().map(|(_, example)| example.rule.as_str()).collect();
    let with_near_miss: BTreeSet<&str> = examples
        .iter()
        .filter(|(_, example)| example.near_miss.is_some())
        .map(|(_, example)| example.rule.as_str())
        .collect();
    let without: Vec<&str> = bootstrapper::validation::catalogue()
        .map(|rule| rule.name)
        .filter(|name| !WITH_CHARTS.contains(name))
        .filter(|name| !with_example.contains(name) || !with_near_miss.contains(name))
        .collect();
    assert!(without.is_empty(), "{without:?}");
}

#[test]
fn the_page_of_rules_is_that_of_the_catalogue() {
    let page = std::fs::read_to_string(root().join("docs/rules.md")).unwrap();
    let is_true = page == bootstrapper::validation::rules_document();
    assert!(is_true, "run: cargo run -- validate --rules --output markdown > docs/rules.md");
}
