//! The file names of kustomizations and manifests.

use std::path::{Path, PathBuf};

use bootstrapper_core::files;

/// The file names that kustomize looks for in a folder.
pub(super) const KUSTOMIZATION_FILES: [&str; 3] =
    ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The kustomization file of a folder of the repository, if it has one.
pub(super) fn find_kustomization(root: &Path, folder: &Path) -> Option<PathBuf> {
    KUSTOMIZATION_FILES.iter().map(|name| folder.join(name)).find(|file| files::is_file(root, file))
}

pub(super) fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}
