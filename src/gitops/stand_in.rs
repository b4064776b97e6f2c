//! A stand-in for the repository, in which some files are others: a folder's kustomization, what is
//! encrypted. Flux writes into its own copy of the repository; people's files stay as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::private::Folder;

/// The stand-in: the files that are others, and the folders that they lie in; all else are links
/// into the repository. Gone when dropped.
pub(super) struct StandIn {
    _kept: Folder,
    /// In place of the root of the repository.
    pub(super) root: PathBuf,
    /// In place of the folder.
    pub(super) folder: PathBuf,
}

impl StandIn {
    /// Stands in for the repository in `root`, with the contents of `others` in the files of those
    /// names, which count from the root.
    pub(super) fn new(root: &Path, folder: &Path, others: &BTreeMap<PathBuf, Vec<u8>>) -> io::Result<Self> {
        let kept = Folder::in_memory().map_err(|failure| io::Error::other(failure.to_string()))?;
        let place = kept.path().canonicalize()?;
        let real = |path: &Path| -> io::Result<PathBuf> {
            let real = root.join(path).canonicalize()?;
            Ok(real.strip_prefix(root).map_err(io::Error::other)?.to_owned())
        };
        // A folder may be reached by a link; `..` counts from where that leads.
        let within = real(folder)?;
        let mut files = BTreeMap::new();
        for (file, content) in others {
            let parent = real(file.parent().unwrap_or(Path::new("")))?;
            files.insert(parent.join(file.file_name().unwrap_or_default()), content);
        }
        let folders: BTreeSet<&Path> = files
            .keys()
            .filter_map(|file| file.parent())
            .chain([within.as_path()])
            .flat_map(Path::ancestors)
            .collect();
        // Each comes after the one that it lies in.
        for one in &folders {
            fs::create_dir_all(place.join(one))?;
            for entry in fs::read_dir(root.join(one))? {
                let path = one.join(entry?.file_name());
                if !folders.contains(path.as_path()) && !files.contains_key(&path) {
                    symlink(root.join(&path), place.join(&path))?;
                }
            }
        }
        for (file, content) in files {
            fs::write(place.join(file), content)?;
        }
        Ok(Self { _kept: kept, folder: place.join(within), root: place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_there_and_one_file_is_another() {
        let repository = tempfile::tempdir().unwrap();
        let root = repository.path().canonicalize().unwrap();
        for (file, text) in [
            ("a/b/k.yaml", "own"),
            ("a/b/x.yaml", "x"),
            ("a/y.yaml", "y"),
            ("base/z.yaml", "z"),
            ("base/s.env", "ENC[x]"),
        ] {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::write(root.join(file), text).unwrap();
        }
        let others = [("a/b/k.yaml", "other"), ("base/s.env", "plain")];
        let others = others.map(|(file, text)| (PathBuf::from(file), text.as_bytes().to_vec())).into();
        let stand_in = StandIn::new(&root, Path::new("a/b"), &others).unwrap();
        assert_eq!(stand_in.folder, stand_in.root.join("a/b"));
        for (file, text) in [
            ("k.yaml", "other"),
            ("x.yaml", "x"),
            ("../y.yaml", "y"),
            ("../../base/z.yaml", "z"),
            ("../../base/s.env", "plain"),
        ] {
            assert_eq!(fs::read_to_string(stand_in.folder.join(file)).unwrap(), text);
        }
        assert_eq!(fs::read_to_string(root.join("a/b/k.yaml")).unwrap(), "own");
    }
}
