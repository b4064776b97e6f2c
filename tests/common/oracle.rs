//! The Go originals that our answers are compared with.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::root;

/// Builds the original of that name under `tests/oracle`, and asks it. It answers in the order of
/// the questions.
pub(crate) fn ask<Answer: DeserializeOwned>(name: &str, question: &impl Serialize) -> Answer {
    let mut oracle = Command::new("go")
        .args(["run", "."])
        .current_dir(root().join("tests/oracle").join(name))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    oracle.stdin.take().unwrap().write_all(&serde_json::to_vec(question).unwrap()).unwrap();
    let output = oracle.wait_with_output().unwrap();
    assert!(output.status.success(), "the original {name} failed");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Builds the programs that the module of that name under `tests/oracle` lists as its tools, and
/// tells their folder.
pub(crate) fn programs(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let built = Command::new("go")
        .args(["build", "-trimpath", "-o"])
        .arg(folder.join(""))
        .arg("tool")
        .current_dir(root().join("tests/oracle").join(name))
        .env("CGO_ENABLED", "0")
        .status()
        .unwrap();
    assert!(built.success(), "the programs of {name} were not built");
    folder
}

/// Fails if anything differs, and shows what is shortest first.
pub(crate) fn assert_none_differs(mut different: Vec<String>, of: usize) {
    different.sort_by_key(String::len);
    different.dedup();
    assert!(
        different.is_empty(),
        "{} of {of} differ:\n{}",
        different.len(),
        different[..different.len().min(25)].join("\n")
    );
}
