//! What `bootstrapper validate` prints, and how it ends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use crate::common;

use std::path::Path;

use common::{bootstrapper, copy_folder, edit, root};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

const INPUT: i32 = 3;
const SETTINGS: &str = "kubernetes/clusters/home/settings.yaml";
const PARTS: &str = "kubernetes/clusters/home/parts.yaml";

fn base() -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_folder(&root().join("tests/broken/base"), copy.path());
    copy
}

fn validate(repository: &Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
    bootstrapper().arg("validate").args(arguments).arg("--repo").arg(repository).assert()
}

#[test]
fn a_warning_is_reported_and_fails_only_with_strict() {
    let copy = base();
    edit(&copy, PARTS, "  timeout: 20m\n", "");
    let told = contains("parts.yaml:22:1  warning  no-timeout").and(contains("why ")).and(contains("fix "));
    validate(copy.path(), &[]).success().stdout(told.and(contains("home: valid, with 1 warning")));
    validate(copy.path(), &["--strict"]).code(INPUT).stderr(contains("1 problem found"));
}

#[test]
fn an_error_fails() {
    let copy = base();
    edit(&copy, SETTINGS, "POD_CIDR: 10.2.0.0/16", "POD_CIDR: 10.3.0.0/17");
    let told = contains("error  ranges-overlap").and(contains("home: 1 error, no warnings"));
    validate(copy.path(), &[]).code(INPUT).stdout(told);
}

#[test]
fn a_finding_that_a_comment_silences_is_kept_with_its_reason() {
    let copy = base();
    let comment = "  # bootstrapper:ignore no-timeout an hour is what it may take\n";
    edit(
        &copy,
        PARTS,
        "  name: network\n  namespace: flux-system\nspec:\n",
        &format!("  name: network\n  namespace: flux-system\n{}spec:\n", comment.trim_start()),
    );
    edit(&copy, PARTS, "  timeout: 20m\n", "");
    validate(copy.path(), &["--strict"]).success().stdout(contains("home: valid; 1 silenced"));

    let output = validate(copy.path(), &["--output", "sarif"]).success().get_output().stdout.clone();
    let log: Value = serde_json::from_slice(&output).unwrap();
    let result = &log["runs"][0]["results"][0];
    assert_eq!(result["ruleId"], "no-timeout");
    assert_eq!(result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], PARTS);
    assert_eq!(result["suppressions"][0]["justification"], "an hour is what it may take");
}

#[test]
fn rules_are_listed_and_explained() {
    bootstrapper()
        .args(["validate", "--rules"])
        .assert()
        .success()
        .stdout(contains("object-owned-twice").and(contains("DESCRIPTION")));
    bootstrapper().args(["validate", "--explain", "no-timeout"]).assert().success().stdout(
        contains("a Kustomization without a timeout").and(contains("# bootstrapper:ignore no-timeout")),
    );
    bootstrapper()
        .args(["validate", "--explain", "no-timeouts"])
        .assert()
        .code(INPUT)
        .stderr(contains("did you mean `no-timeout`?"));
}
