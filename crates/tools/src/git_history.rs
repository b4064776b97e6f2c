//! The published history of a working tree: the part that a server is known to have.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::Environment;
use super::git::{Git, WorkingTree, is_commit};
use bootstrapper_core::files;
use bootstrapper_core::private::Folder;

/// The maximum number of commits to read.
const COMMITS: &str = "--max-count=5000";

/// A published commit, with its ancestors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PublishedHistory {
    /// The commit of the working tree.
    pub head: String,
    /// Its ancestors, without itself.
    pub ancestors: BTreeSet<String>,
}

/// The history of the working tree's commit, if a remote-tracking branch named `branch` has that commit. None
/// if not, or if it cannot be read.
pub async fn published_history(folder: &Path, branch: &str) -> Option<PublishedHistory> {
    let tree = WorkingTree::of(folder)?;
    let (_, head) = tree.head()?;
    for remote in remote_commits(&tree.common, branch) {
        let published = ancestry(&tree, &remote).await.unwrap_or_default();
        if published.contains(&head) {
            let mut ancestors = ancestry(&tree, &head).await?;
            ancestors.remove(&head);
            return Some(PublishedHistory { head, ancestors });
        }
    }
    None
}

/// The commits of `refs/remotes/*/<branch>`.
fn remote_commits(common: &Path, branch: &str) -> BTreeSet<String> {
    let read = |path: &Path| String::from_utf8(files::read_regular(path).ok()?).ok();
    let packed = read(&common.join("packed-refs")).unwrap_or_default();
    let remotes = fs::read_dir(common.join("refs/remotes")).into_iter().flatten().flatten();
    let loose: Vec<(String, String)> = remotes
        .filter_map(|remote| Some((remote.file_name().into_string().ok()?, remote.path().join(branch))))
        .filter_map(|(remote, path)| Some((remote, read(&path)?)))
        .collect();
    let of_packed = packed.lines().filter_map(|line| {
        let (commit, name) = line.split_once(' ')?;
        let remote = name.strip_prefix("refs/remotes/")?.strip_suffix(branch)?.strip_suffix('/')?;
        // A loose ref is newer.
        let is_stale = loose.iter().any(|(other, _)| other == remote);
        (!is_stale && !remote.contains('/')).then(|| commit.to_owned())
    });
    let of_loose = loose.iter().map(|(_, commit)| commit.trim().to_owned());
    of_packed.chain(of_loose).filter(|commit| is_commit(commit)).collect()
}

/// A commit and its parents.
async fn ancestry(tree: &WorkingTree, commit: &str) -> Option<BTreeSet<String>> {
    let git = Git::find(&Environment::default())?;
    let kept = Folder::new().ok()?;
    let (repository, objects) = tree.shown_to_git(kept.path(), commit)?;
    let places: [(&str, &Path); 2] = [("GIT_DIR", &repository), ("GIT_OBJECT_DIRECTORY", &objects)];
    let arguments = ["rev-list", COMMITS, "--end-of-options", commit];
    let home = kept.path().join("home");
    let printed = git.run(&home, &arguments, &places);
    let printed = tokio::time::timeout(super::git::GLANCE, printed).await.ok()?.ok()?;
    Some(String::from_utf8(printed).ok()?.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::tests::git;

    #[tokio::test]
    async fn a_commit_is_published_once_a_remote_branch_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        git(&root, &["init", "--quiet"]);
        let commit = || {
            git(&root, &["commit", "--quiet", "--allow-empty", "-m", "x"]);
            git(&root, &["rev-parse", "HEAD"])
        };
        let (first, second) = (commit(), commit());
        assert_eq!(published_history(&root, "main").await, None);

        git(&root, &["update-ref", "refs/remotes/origin/main", &first]);
        assert_eq!(published_history(&root, "main").await, None, "the newest commit is not pushed");

        git(&root, &["update-ref", "refs/remotes/origin/main", &second]);
        let published = PublishedHistory { head: second.clone(), ancestors: [first].into() };
        assert_eq!(published_history(&root, "main").await, Some(published.clone()));
        assert_eq!(published_history(&root, "other").await, None);
        git(&root, &["pack-refs", "--all"]);
        assert_eq!(published_history(&root, "main").await, Some(published));
        assert_eq!(published_history(folder.path().parent().unwrap(), "main").await, None);
    }
}
