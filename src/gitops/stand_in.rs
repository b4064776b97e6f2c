//! A stand-in for the repository, in which one folder has another kustomization. Flux writes into
//! its own copy of the repository; people's files stay as they are.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The stand-in: the folder and those above it are there, all else are links into the repository.
/// Gone when dropped.
pub(super) struct StandIn {
    _kept: TempDir,
    /// In place of the root of the repository.
    pub(super) root: PathBuf,
    /// In place of the folder.
    pub(super) folder: PathBuf,
}

impl StandIn {
    /// Stands in for the repository in `root`, with `content` in the file of that name of a folder.
    pub(super) fn new(root: &Path, folder: &Path, name: &str, content: &str) -> io::Result<Self> {
        let kept = tempfile::tempdir()?;
        let place = kept.path().canonicalize()?;
        // A folder may be reached by a link; `..` counts from where that leads.
        let real = root.join(folder).canonicalize()?;
        let within = real.strip_prefix(root).map_err(io::Error::other)?;
        let (mut there, mut here) = (root.to_owned(), place.clone());
        for part in within.components() {
            let part = part.as_os_str();
            link_all(&there, &here, Path::new(part))?;
            (there, here) = (there.join(part), here.join(part));
            fs::create_dir(&here)?;
        }
        link_all(&there, &here, Path::new(name))?;
        fs::write(here.join(name), content)?;
        Ok(Self { _kept: kept, root: place, folder: here })
    }
}

fn link_all(there: &Path, here: &Path, except: &Path) -> io::Result<()> {
    for entry in fs::read_dir(there)? {
        let name = entry?.file_name();
        if name != except.as_os_str() {
            symlink(there.join(&name), here.join(&name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_there_and_one_file_is_another() {
        let repository = tempfile::tempdir().unwrap();
        let root = repository.path().canonicalize().unwrap();
        for (file, text) in
            [("a/b/k.yaml", "own"), ("a/b/x.yaml", "x"), ("a/y.yaml", "y"), ("base/z.yaml", "z")]
        {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::write(root.join(file), text).unwrap();
        }
        let stand_in = StandIn::new(&root, Path::new("a/b"), "k.yaml", "other").unwrap();
        assert_eq!(stand_in.folder, stand_in.root.join("a/b"));
        for (file, text) in
            [("k.yaml", "other"), ("x.yaml", "x"), ("../y.yaml", "y"), ("../../base/z.yaml", "z")]
        {
            assert_eq!(fs::read_to_string(stand_in.folder.join(file)).unwrap(), text);
        }
        assert_eq!(fs::read_to_string(root.join("a/b/k.yaml")).unwrap(), "own");
    }
}
