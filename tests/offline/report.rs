//! `bootstrapper report`: what a run has left in the state folder, in each form.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use assert_cmd::Command;
use bootstrapper_report::timeline::Timeline;
use predicates::prelude::*;
use predicates::str::{contains, starts_with};

/// The timeline of the recorded run that the crate's own tests compare.
const RECORDED: &str = include_str!(
    "../../crates/report/src/timeline/tests/snapshots/bootstrapper_report__timeline__tests__a_run_as_json.snap"
);

fn report(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("bootstrapper").unwrap();
    command.env("BOOTSTRAPPER_STATE_DIR", state).arg("report").args(arguments);
    command
}

#[test]
fn the_latest_run_is_shown_in_each_form_and_written_privately() {
    let state = tempfile::tempdir().unwrap();
    let none = report(state.path(), &["infra"]).assert().code(3);
    none.stderr(contains("no reports of runs of infra").and(contains("bootstrapper history infra")));
    report(state.path(), &[]).assert().code(3);

    let recorded = RECORDED.splitn(3, "---\n").last().unwrap();
    let folder = state.path().join("runs/infra");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("2023-11-14T22-13-20.000Z.json"), recorded).unwrap();
    // Of two clusters, the latest run; of one, its own.
    for arguments in [&["infra"][..], &[]] {
        let text = report(state.path(), arguments).assert().success();
        text.stdout(starts_with("# infra: succeeded in 33s").and(contains("## Critical path")))
            .stderr(contains("2023-11-14T22-13-20.000Z.html"));
    }
    report(state.path(), &["apps"]).assert().code(3);

    let json = report(state.path(), &["infra", "--output", "json"]).output().unwrap().stdout;
    let shown: Timeline = serde_json::from_slice(&json).unwrap();
    assert_eq!(shown, serde_json::from_str::<Timeline>(recorded).unwrap());

    let file = state.path().join("page.html");
    report(state.path(), &["infra", "-o", "html", "--out"]).arg(&file).assert().success().stdout("");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let page = report(state.path(), &["infra", "-o", "html"]).output().unwrap().stdout;
    assert_eq!(std::fs::read(&file).unwrap(), page);
    assert!(page.starts_with(b"<!doctype html>"));
}
