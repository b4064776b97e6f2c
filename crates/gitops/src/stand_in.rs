//! A temporary copy of the inputs of a build. Flux builds in its own copy of the repository; the user's files
//! are never changed.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::fetch::Tree;
use bootstrapper_core::private::Folder;

/// The temporary copy. Deleted when dropped.
pub(super) struct StandIn {
    _kept: Folder,
    /// Its root, instead of that of the repository.
    pub(super) root: PathBuf,
    /// The folder in it.
    pub(super) folder: PathBuf,
}

impl StandIn {
    /// Writes the files for kustomize. `folder` may be a symbolic link in the tree.
    pub(super) fn new(tree: &Tree, folder: &Path) -> io::Result<Self> {
        let kept = Folder::in_memory().map_err(|failure| io::Error::other(failure.to_string()))?;
        let root = kept.path().canonicalize()?;
        for folder in &tree.folders {
            fs::create_dir_all(root.join(folder))?;
        }
        let parent =
            |path: &Path| path.parent().map_or(Ok(()), |parent| fs::create_dir_all(root.join(parent)));
        for (file, content) in &tree.files {
            parent(file)?;
            fs::write(root.join(file), content)?;
        }
        for (link, to) in &tree.links {
            parent(link)?;
            symlink(to, root.join(link))?;
        }
        let folder = root.join(folder).canonicalize()?;
        Ok(Self { _kept: kept, folder, root })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_there_and_nothing_else() {
        let mut tree = Tree::default();
        tree.files.insert("a/b/k.yaml".into(), b"other".to_vec());
        tree.files.insert("base/z.yaml".into(), b"z".to_vec());
        tree.folders.insert("empty".into());
        tree.links.insert("link".into(), "a".into());
        let stand_in = StandIn::new(&tree, Path::new("link/b")).unwrap();
        assert_eq!(stand_in.folder, stand_in.root.join("a/b"));
        assert_eq!(fs::read_to_string(stand_in.folder.join("k.yaml")).unwrap(), "other");
        assert_eq!(fs::read_to_string(stand_in.folder.join("../../base/z.yaml")).unwrap(), "z");
        assert_eq!(fs::read_dir(&stand_in.root).unwrap().count(), 4);
    }
}
