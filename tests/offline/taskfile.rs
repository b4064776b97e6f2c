//! The forwarding Taskfile, with the real `task` and a program that writes down how it was called.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use crate::common;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::root;

const TASK: &str = "github.com/go-task/task/v3/cmd/task@v3.54.0";

/// The real `task`, built once into the target folder.
fn task() -> PathBuf {
    let bin = Path::new(env!("CARGO_TARGET_TMPDIR")).join("task");
    if !bin.join("task").exists() {
        let built = Command::new("go")
            .args(["install", TASK])
            .env("GOBIN", &bin)
            .env("GOFLAGS", "-mod=mod")
            .current_dir(env!("CARGO_TARGET_TMPDIR"))
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    }
    bin.join("task")
}

#[test]
fn every_old_name_is_forwarded() {
    let task = task();
    let folder = tempfile::tempdir().unwrap();
    let (program, calls) = (folder.path().join("bootstrapper"), folder.path().join("calls"));
    std::fs::write(&program, format!("#!/bin/sh\necho \"$*\" >> {}\n", calls.display())).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let cases: [(&[&str], &[&str]); 17] = [
        (&["bootstrap:infra"], &["infra"]),
        (&["bootstrap:apps", "DRY_RUN=true"], &["apps --dry-run"]),
        (&["bootstrap:bootstrap", "CLUSTER=apps"], &["apps --context apps"]),
        (&["bootstrap:bootstrap", "CLUSTER=apps", "CONTEXT=home"], &["apps --context home"]),
        (&["bootstrap:prereq"], &["infra --context infra --only preflight,prerequisites"]),
        (&["bootstrap:infra-crds", "DRY_RUN=true"], &["infra --dry-run --only crds"]),
        (
            &["bootstrap:core", "DRY_RUN=true"],
            &["infra --context infra --dry-run --from cilium --until sync"],
        ),
        (&["bootstrap:phase:3", "CLUSTER=apps"], &["apps --context apps --only handover"]),
        (&["bootstrap:dry-run"], &["infra --context infra --dry-run"]),
        (&["bootstrap:preflight:tools"], &["infra --context infra --only preflight"]),
        (&["cluster:status", "CLUSTER=apps"], &["status apps --context apps"]),
        (&["kubernetes:validate"], &["validate"]),
        (&["kubernetes:reconcile", "DRY_RUN=true"], &["reconcile infra --context infra --dry-run"]),
        (&["kubernetes:reconcile-all"], &["reconcile infra", "reconcile apps"]),
        (
            &["kubernetes:reconcile-mesh", "CLUSTER=apps"],
            &["reconcile apps cilium-config cilium-mesh --context apps"],
        ),
        (&["cluster:create-apps"], &["apps"]),
        (&["bootstrap:clean", "CLUSTER=apps", "DRY_RUN=true"], &["clean apps --context apps --dry-run"]),
    ];
    for (arguments, wanted) in cases {
        let _ = std::fs::remove_file(&calls);
        let status = Command::new(&task)
            .arg("--taskfile")
            .arg(root().join("taskfile/Taskfile.yaml"))
            .args(arguments)
            .arg(format!("BOOTSTRAPPER={}", program.display()))
            .status()
            .unwrap();
        assert!(status.success(), "{arguments:?}");
        let called = std::fs::read_to_string(&calls).unwrap();
        assert_eq!(called.lines().collect::<Vec<_>>(), wanted, "{arguments:?}");
    }
}

#[test]
fn what_is_not_replaced_says_so() {
    for name in ["bootstrap:talos", "cluster:destroy"] {
        let output = Command::new(task())
            .arg("--taskfile")
            .arg(root().join("taskfile/Taskfile.yaml"))
            .arg(name)
            .output()
            .unwrap();
        assert!(!output.status.success(), "{name}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("bootstrapper"), "{name}: {output:?}");
    }
}
