//! Packs charts. The same files give the same bytes, so that digests are stable.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use include_dir::{Dir, include_dir};
use walkdir::WalkDir;

use crate::failure::{Failure, Result};

static STAND_INS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/sandbox/upstream/charts");

/// The files of a chart, by their paths within it.
pub(super) type Files = BTreeMap<PathBuf, Vec<u8>>;

fn failed(error: &std::io::Error) -> Failure {
    Failure::step("a chart of the sandbox cannot be packed").caused_by(error)
}

/// The files of a chart in a folder.
pub(super) fn of_folder(folder: &Path) -> Result<Files> {
    let mut files = Files::new();
    for entry in WalkDir::new(folder) {
        let entry = entry.map_err(|error| failed(&error.into()))?;
        if entry.file_type().is_file() {
            let path = entry.path().strip_prefix(folder).unwrap_or(entry.path()).to_owned();
            files.insert(path, std::fs::read(entry.path()).map_err(|error| failed(&error))?);
        }
    }
    Ok(files)
}

/// The files of a stand-in of ours.
pub(super) fn stand_in(name: &str) -> Files {
    let files =
        STAND_INS.find(&format!("{name}/**/*")).into_iter().flatten().filter_map(|entry| entry.as_file());
    files
        .map(|file| {
            (file.path().strip_prefix(name).unwrap_or(file.path()).to_owned(), file.contents().to_vec())
        })
        .collect()
}

/// Adds manifests to a chart's templates, whatever braces they hold.
pub(super) fn add_templates(files: &mut Files, folder: &Path) -> Result<()> {
    for (path, bytes) in of_folder(folder)? {
        let text = String::from_utf8_lossy(&bytes).replace("{{", "{{ \"{{\" }}");
        files.insert(Path::new("templates").join(path), text.into_bytes());
    }
    Ok(())
}

/// A chart as `helm package` would make it, but for times and owners.
pub(super) fn pack(name: &str, files: &Files) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        archive
            .append_data(&mut header, Path::new(name).join(path), bytes.as_slice())
            .map_err(|error| failed(&error))?;
    }
    archive.into_inner().and_then(GzEncoder::finish).map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_give_the_same_bytes() {
        let files = stand_in("coredns");
        assert!(files.contains_key(Path::new("Chart.yaml")));
        assert_eq!(pack("coredns", &files).unwrap(), pack("coredns", &files).unwrap());
    }
}
