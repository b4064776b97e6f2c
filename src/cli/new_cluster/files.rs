//! The repository files that a new cluster is copied from, and the resulting files.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use bootstrapper_core::failure::{Failure, Location, Result};
use bootstrapper_core::private::Folder;
use bootstrapper_gitops::addresses::Settings;
use bootstrapper_validation::new_cluster::{self, NewFile};

pub(super) const CLUSTERS: &str = "kubernetes/clusters";
pub(super) const CONFIG: &str = "bootstrapper.yaml";

/// The limit of a mesh: 255 clusters, or 511 if all of them set `maxConnectedClusters`.
pub(super) fn highest_id(root: &Path) -> u64 {
    let mut files = WalkDir::new(root.join("kubernetes")).into_iter().filter_map(Result::ok);
    let is_large = files.any(|entry| {
        entry.file_type().is_file()
            && std::fs::read_to_string(entry.path())
                .is_ok_and(|text| text.contains("maxConnectedClusters: 511"))
    });
    if is_large { 511 } else { 255 }
}

/// The files of the new cluster, and where they still contain the name of the original.
pub(super) fn copies(
    root: &Path,
    like: &str,
    name: &str,
    settings: &Settings,
) -> Result<(Vec<NewFile>, Vec<Location>)> {
    let (from, to) = (Path::new(CLUSTERS).join(like), Path::new(CLUSTERS).join(name));
    let (mut files, mut mentions) = (Vec::new(), Vec::new());
    for entry in WalkDir::new(root.join(&from)).sort_by_file_name() {
        let entry = entry.map_err(|error| unreadable(&from, &error))?;
        if !entry.file_type().is_file() {
            continue;
        }
        let within = entry.path().strip_prefix(root.join(&from)).unwrap_or(entry.path());
        let source = from.join(within);
        let text = std::fs::read_to_string(entry.path()).map_err(|error| unreadable(&source, &error))?;
        let copied = new_cluster::copy_file(&text, &source, like, name, settings)?;
        let path = to.join(within);
        let places = copied.mentions.into_iter().map(|line| Location { file: path.clone(), line, column: 1 });
        mentions.extend(places);
        files.push(NewFile { path, text: copied.text });
    }
    Ok((files, mentions))
}

fn unreadable(path: &Path, error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::input(format!("cannot read {}", path.display())).caused_by(error)
}

/// The configuration with an entry for the new cluster; none if there is nothing to copy.
pub(super) fn config(root: &Path, like: &str, name: &str) -> Result<Option<NewFile>> {
    let path = PathBuf::from(CONFIG);
    let Ok(text) = std::fs::read_to_string(root.join(&path)) else { return Ok(None) };
    let copy = new_cluster::copy_of_config(&text, &path, like, name)?;
    Ok(copy.map(|text| NewFile { path, text }))
}

/// The folder is created atomically, and never replaces anything.
pub(super) fn write(root: &Path, name: &str, files: &[NewFile]) -> Result<()> {
    let folder = Path::new(CLUSTERS).join(name);
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::step(format!("cannot write {}", folder.display())).caused_by(error)
    };
    if root.join(&folder).exists() {
        return Err(
            Failure::input(format!("{} already exists", folder.display())).hint("remove or rename it first")
        );
    }
    let beside = Folder::within(&root.join(CLUSTERS)).map_err(|error| failed(&error))?;
    let inner = beside.path().join(name);
    for file in files {
        let path = inner.join(file.path.strip_prefix(&folder).unwrap_or(&file.path));
        let parent = path.parent().unwrap_or(&inner);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, &file.text))
            .map_err(|error| failed(&error))?;
    }
    std::fs::rename(&inner, root.join(&folder)).map_err(|error| failed(&error))
}

/// Replaces the original of a file.
pub(super) fn replace(root: &Path, file: &NewFile) -> Result<()> {
    std::fs::write(root.join(&file.path), &file.text)
        .map_err(|error| Failure::step(format!("cannot write {}", file.path.display())).caused_by(&error))
}
