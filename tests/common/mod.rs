//! What whole-program tests share: the program, a copy of the repository, and the sandbox's programs.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use assert_cmd::Command;
use tempfile::TempDir;

/// The folder of this package, which is a GitOps repository itself.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder that has helm and kustomize; built once on a machine.
pub(crate) fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let output = Command::cargo_bin("bootstrapper").unwrap().args(["sandbox", "programs"]).unwrap();
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    })
}

/// The program in a clean environment, with helm and kustomize on PATH.
pub(crate) fn bootstrapper() -> Command {
    let mut command = Command::cargo_bin("bootstrapper").unwrap();
    let path = std::env::join_paths(
        [programs().to_owned()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    command
        .env("PATH", path.unwrap())
        .env("NO_COLOR", "1")
        // What is tested is the same everywhere; `network.rs` asks for the real thing.
        .env("BOOTSTRAPPER_SANDBOX_NETWORK", "simulated")
        .env_remove("KUBECONFIG")
        .env_remove("BOOTSTRAPPER_REPO");
    command
}

/// A copy of the repository, to be broken.
pub(crate) fn repository() -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for folder in ["kubernetes", "tasks"] {
        copy_folder(&root().join(folder), &copy.path().join(folder));
    }
    std::fs::copy(root().join("bootstrapper.yaml"), copy.path().join("bootstrapper.yaml")).unwrap();
    // The remote manifests are not what these tests are about, and there may be no internet.
    let crds = copy.path().join("kubernetes/infrastructure/networking/crds/kustomization.yaml");
    std::fs::write(crds, "resources: []\n").unwrap();
    copy
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Replaces text in a file of a copy.
pub(crate) fn edit(copy: &TempDir, file: &str, from: &str, to: &str) {
    let path = copy.path().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has no {from:?}");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}
