//! A further cluster: what is written is valid, and nothing is written where it would not be.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use crate::common;

use std::collections::BTreeMap;
use std::path::Path;

use assert_cmd::assert::Assert;
use common::{bootstrapper, edit, repository};
use predicates::prelude::*;
use predicates::str::contains;
use tempfile::TempDir;
use walkdir::WalkDir;

const INPUT: i32 = 3;

fn new_cluster(copy: &TempDir, arguments: &[&str]) -> Assert {
    bootstrapper().arg("new-cluster").args(arguments).arg("--repo").arg(copy.path()).assert()
}

/// Every file of a repository.
fn files(root: &Path) -> BTreeMap<String, String> {
    let files =
        WalkDir::new(root).into_iter().map(Result::unwrap).filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| {
            let path = entry.path().strip_prefix(root).unwrap().display().to_string();
            (path, std::fs::read_to_string(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn a_further_cluster_is_valid_and_those_before_stay_as_they_were() {
    let copy = repository();
    let before = files(copy.path());
    new_cluster(&copy, &["media", "--like", "infra", "--api-server", "10.25.11.30:7443"])
        .success()
        .stderr(contains("CLUSTER_ID: 3").and(contains("next: bootstrapper validate media")));
    let after = files(copy.path());
    for (path, text) in &before {
        if path != "bootstrapper.yaml" {
            assert_eq!(after.get(path), Some(text), "{path}");
        }
    }
    let settings = &after["kubernetes/clusters/media/settings.yaml"];
    for line in [
        "CLUSTER_NAME: media",
        "CLUSTER_ID: \"3\"",
        "API_SERVER_HOST: 10.25.11.30",
        "API_SERVER_PORT: \"7443\"",
        "POD_CIDR: 10.46.0.0/16",
        "SERVICE_CIDR: 10.47.0.0/16",
        "CLUSTER_DNS_IP: 10.47.0.10",
        "LB_POOL_CIDR: 10.25.13.0/25",
        "CLUSTERMESH_ADDRESS: 10.25.13.10",
        "BGP_LOCAL_ASN: \"64514\"",
    ] {
        assert!(settings.contains(&format!("  {line}\n")), "{line} in {settings}");
    }
    assert!(settings.starts_with("# Everything that differs between clusters."), "{settings}");
    assert!(
        after["kubernetes/clusters/media/flux-system/sync.yaml"]
            .contains("path: ./kubernetes/clusters/media\n")
    );
    assert!(after["bootstrapper.yaml"].starts_with(before["bootstrapper.yaml"].trim_end()));
    assert!(after["bootstrapper.yaml"].contains("{env: MEDIA_BGP_PASSWORD}"));

    let valid = |cluster: &[&str], said: &str| {
        let mut command = bootstrapper();
        command.arg("validate").args(cluster).arg("--repo").arg(copy.path());
        command.assert().success().stdout(contains(said.to_owned()));
    };
    valid(&["media"], "media: valid");
    valid(&[], "apps, infra, media: valid");

    // A fourth one, like the third, with the next of everything.
    new_cluster(&copy, &["edge", "--like", "media", "--api-server", "10.25.11.40"])
        .success()
        .stderr(contains("POD_CIDR: 10.48.0.0/16").and(contains("BGP_LOCAL_ASN: 64515")));
    valid(&["edge"], "edge: valid");
}

#[test]
fn nothing_is_written_where_something_is_wrong_and_all_of_it_is_said() {
    let copy = repository();
    let before = files(copy.path());
    let arguments = [
        "plan",
        "--like",
        "infra",
        "--id",
        "2",
        "--pod-cidr",
        "10.42.128.0/17",
        "--local-asn",
        "64501",
        "--set",
        "CLUSTER_DNS_IP=10.43.0.10",
        "--set",
        "API_SERVER_HOTS=10.25.11.30",
    ];
    let said = [
        "7 problems",
        "invalid cluster name `plan`",
        "CLUSTER_ID 2 conflicts with cluster apps",
        "POD_CIDR 10.42.128.0/17 overlaps POD_CIDR 10.42.0.0/16 of cluster infra",
        "BGP_LOCAL_ASN 64501 conflicts with the router's",
        "CLUSTER_DNS_IP 10.43.0.10 is outside SERVICE_CIDR",
        "did you mean API_SERVER_HOST?",
        "--api-server",
    ];
    let mut assert = new_cluster(&copy, &arguments).code(INPUT);
    for text in said {
        assert = assert.stderr(contains(text));
    }
    new_cluster(&copy, &["infra"]).code(INPUT).stderr(contains("cluster `infra` already exists"));
    new_cluster(&copy, &["media", "--like", "infro"]).code(INPUT).stderr(contains("did you mean `infra`?"));
    new_cluster(&copy, &["media", "--set", "X"]).code(INPUT).stderr(contains("invalid --set `X`: no value"));
    assert_eq!(files(copy.path()), before);
}

#[test]
fn a_dry_run_prints_what_it_would_write() {
    let copy = repository();
    let before = files(copy.path());
    new_cluster(&copy, &["media", "--api-server", "10.25.11.30", "--dry-run"]).success().stdout(
        contains("# kubernetes/clusters/media/settings.yaml\n")
            .and(contains("CLUSTER_NAME: media"))
            .and(contains("# bootstrapper.yaml\n")),
    );
    assert_eq!(files(copy.path()), before);
}

#[test]
fn settings_that_differ_and_are_unknown_are_prompted_for() {
    let copy = repository();
    for cluster in ["infra", "apps"] {
        let file = format!("kubernetes/clusters/{cluster}/settings.yaml");
        edit(&copy, &file, "  CLUSTER_NAME:", &format!("  DISKS: of-{}\n  CLUSTER_NAME:", cluster.len()));
    }
    new_cluster(&copy, &["media", "--api-server", "10.25.11.30"])
        .code(INPUT)
        .stderr(contains("DISKS has no value").and(contains("--set DISKS=…")));
    new_cluster(&copy, &["media", "--api-server", "10.25.11.30", "--set", "DISKS=two"]).success();
}
