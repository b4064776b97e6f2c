//! A snapshot of the working tree as a branch of a bare repository: includes uncommitted changes. The user's
//! repository is only read.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tokio::process::Command;

use crate::options::GitSpec;
use bootstrapper_core::failure::{Failure, Result};

/// The bare repository for the declared URL.
pub(super) fn repository_in(folder: &Path) -> PathBuf {
    folder.join("repository.git")
}

/// Takes a snapshot; returns the commit. The same files give the same commit, and a change adds one.
pub(super) async fn snapshot(folder: &Path, spec: &GitSpec) -> Result<String> {
    snapshot_of(folder, spec, ".").await
}

/// The same for a part of the working tree.
pub(super) async fn snapshot_of(folder: &Path, spec: &GitSpec, part: &str) -> Result<String> {
    let bare = repository_in(folder);
    let git = Git { bare: &bare, tree: &spec.repository };
    if !bare.join("HEAD").exists() {
        std::fs::create_dir_all(folder).map_err(|error| failed().caused_by(&error))?;
        git.run(&[
            "init",
            "--quiet",
            "--bare",
            "--initial-branch",
            &spec.branch,
            &bare.display().to_string(),
        ])
        .await?;
    }
    let index = bare.join(format!("index.{}", std::process::id()));
    let _ = std::fs::remove_file(&index);
    git.with_index(&index, &["add", "--all", part]).await?;
    let tree = git.with_index(&index, &["write-tree"]).await?;
    let _ = std::fs::remove_file(&index);
    let branch = format!("refs/heads/{}", spec.branch);
    let before = git.run(&["rev-parse", "--quiet", "--verify", &branch]).await.ok();
    let Some(before) = before else {
        let commit = git.run(&["commit-tree", &tree, "-m", "working tree"]).await?;
        git.run(&["update-ref", &branch, &commit]).await?;
        return Ok(commit);
    };
    if git.run(&["rev-parse", &format!("{before}^{{tree}}")]).await? == tree {
        return Ok(before);
    }
    let commit = git.run(&["commit-tree", &tree, "-p", &before, "-m", "working tree"]).await?;
    git.run(&["update-ref", &branch, &commit, &before]).await?;
    Ok(commit)
}

/// A folder in a commit, as a tar archive.
pub(super) async fn archive(folder: &Path, commit: &str, part: &Path) -> Result<Vec<u8>> {
    let bare = repository_in(folder);
    let git = Git { bare: &bare, tree: folder };
    let tree = format!("{commit}:{}", part.display());
    checked(git.command(&["archive", "--format=tar", &tree]).output().await).map(|output| output.stdout)
}

/// Tags a commit.
pub(super) async fn tag(folder: &Path, tag: &str, commit: &str) -> Result<()> {
    let bare = repository_in(folder);
    let git = Git { bare: &bare, tree: folder };
    git.run(&["update-ref", &format!("refs/tags/{tag}"), commit]).await.map(drop)
}

struct Git<'a> {
    bare: &'a Path,
    tree: &'a Path,
}

fn failed() -> Failure {
    Failure::step("cannot snapshot the working tree")
}

impl Git<'_> {
    async fn run(&self, arguments: &[&str]) -> Result<String> {
        read(self.command(arguments).output().await)
    }

    async fn with_index(&self, index: &Path, arguments: &[&str]) -> Result<String> {
        let mut command = self.command(arguments);
        command.env("GIT_WORK_TREE", self.tree).env("GIT_INDEX_FILE", index).current_dir(self.tree);
        read(command.output().await)
    }

    /// Without configuration and hooks, with private files regardless of umask, and a fixed date so that
    /// commits are reproducible.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = plain_git("umask 077 && exec git \"$@\"");
        command
            .args([
                "-c",
                "core.hooksPath=/dev/null",
                "-c",
                "core.autocrlf=false",
                "-c",
                "core.fsmonitor=false",
            ])
            .args(arguments)
            .env("GIT_DIR", self.bare)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        for role in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{role}_NAME"), "bootstrapper sandbox")
                .env(format!("GIT_{role}_EMAIL"), "sandbox@localhost")
                .env(format!("GIT_{role}_DATE"), "2026-01-01T00:00:00Z");
        }
        command
    }
}

/// Runs git in a shell script, without the user's and the system's configuration, and without git's environment
/// variables.
pub(super) fn plain_git(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, "git"]);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("GIT_")) {
        command.env_remove(name);
    }
    for (name, value) in [
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_SYSTEM", "/dev/null"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_ATTR_NOSYSTEM", "1"),
        ("GIT_NO_LAZY_FETCH", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
    ] {
        command.env(name, value);
    }
    command
}

fn read(output: std::io::Result<Output>) -> Result<String> {
    checked(output).map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn checked(output: std::io::Result<Output>) -> Result<Output> {
    let output = output.map_err(|error| failed().caused_by(&error).hint("install git"))?;
    if output.status.success() {
        return Ok(output);
    }
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(stderr.lines().fold(failed(), bootstrapper_core::failure::Failure::because))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_snapshot_changes_only_with_the_files() {
        let tree = tempfile::tempdir().unwrap();
        let state = tempfile::tempdir().unwrap();
        let spec = GitSpec {
            repository: tree.path().to_owned(),
            url: "https://example.org/x.git".into(),
            branch: "main".into(),
            has_credentials: false,
        };
        std::fs::write(tree.path().join("a.yaml"), "a: 1").unwrap();
        let first = snapshot(state.path(), &spec).await.unwrap();
        assert_eq!(snapshot(state.path(), &spec).await.unwrap(), first);
        std::fs::write(tree.path().join("a.yaml"), "a: 2").unwrap();
        assert_ne!(snapshot(state.path(), &spec).await.unwrap(), first);
        assert!(!tree.path().join(".git").exists());
    }
}
