//! How long a run takes that finds nothing to do, and how much memory: `cargo bench --bench rerun`.
//! Prints JSON. Asserts nothing about time.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 10;

fn bootstrapper(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bootstrapper"));
    command.args(arguments).env("BOOTSTRAPPER_STATE_DIR", state).current_dir(env!("CARGO_MANIFEST_DIR"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The most memory that a process has had so far, in KiB.
fn peak(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn timed(state: &Path, arguments: &[&str]) -> (Duration, u64) {
    let began = Instant::now();
    let mut child = bootstrapper(state, arguments).spawn().unwrap();
    let mut most = 0;
    let status = loop {
        most = peak(&child).unwrap_or(0).max(most);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(status.success(), "{arguments:?}");
    (began.elapsed(), most)
}

fn main() {
    let state = tempfile::tempdir().unwrap();
    let run = ["infra", "--sandbox", "--progress", "quiet"];
    let (first, _) = timed(state.path(), &run);
    let mut again: Vec<(Duration, u64)> = (0..RUNS).map(|_| timed(state.path(), &run)).collect();
    again.sort();
    let _ = bootstrapper(state.path(), &["sandbox", "down", "infra"]).status();
    println!(
        "{}",
        serde_json::json!({
            "first_run_with_sandbox_seconds": first.as_secs_f64(),
            "rerun_seconds": {
                "fastest": again[0].0.as_secs_f64(),
                "median": again[RUNS / 2].0.as_secs_f64(),
                "slowest": again[RUNS - 1].0.as_secs_f64(),
            },
            "rerun_peak_mib": again.iter().map(|(_, peak)| peak).max().unwrap() / 1024,
        })
    );
}
