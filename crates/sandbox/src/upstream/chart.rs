//! Packs charts. The same files give the same bytes, so that digests are stable.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use include_dir::{Dir, include_dir};
use serde_json::{Value, json};
use walkdir::WalkDir;

use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::yaml;

static STAND_INS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/upstream/charts");

/// The files of a chart, by their paths within it.
pub(super) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Where a chart is published, and its name and version.
pub(super) struct Published<'a> {
    /// `oci://quay.io/cilium/charts`, or the `https://` URL of a classic repository.
    pub(super) from: &'a str,
    /// The chart's name.
    pub(super) name: &'a str,
    /// Its version.
    pub(super) version: &'a str,
}

fn failed(error: &std::io::Error) -> Failure {
    Failure::step("cannot pack a chart of the sandbox").caused_by(error)
}

/// The files of a chart from a folder.
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

/// The files of a replacement chart.
pub(super) fn stand_in(name: &str) -> Files {
    let files =
        STAND_INS.find(&format!("{name}/**/*")).into_iter().flatten().filter_map(|entry| entry.as_file());
    files
        .map(|file| {
            (file.path().strip_prefix(name).unwrap_or(file.path()).to_owned(), file.contents().to_vec())
        })
        .collect()
}

/// Sets the name and version of a chart. Charts in a project's tree get theirs when released; their
/// dependencies are in the chart, or omitted.
pub(super) fn named(files: &mut Files, name: &str, version: &str) -> Result<()> {
    let place = Path::new("Chart.yaml");
    let mut chart: Value = match files.get(place) {
        Some(text) => yaml::from_str(&String::from_utf8_lossy(text), place)?,
        None => {
            json!({"apiVersion": "v2", "description": "Replacement chart of a bootstrapper sandbox"})
        }
    };
    if let Some(fields) = chart.as_object_mut() {
        fields.remove("dependencies");
        let app_version = fields.get("appVersion").and_then(Value::as_str).unwrap_or_default();
        if matches!(app_version, "" | "0.0.1" | "v0.0.0") {
            fields.insert("appVersion".into(), version.into());
        }
        fields.insert("name".into(), name.into());
        fields.insert("version".into(), version.into());
    }
    files.insert(place.to_owned(), chart.to_string().into_bytes());
    Ok(())
}

/// Adds manifests to a chart's templates, escaping their braces.
pub(super) fn add_templates(files: &mut Files, manifests: Files) {
    for (path, bytes) in manifests {
        let text = String::from_utf8_lossy(&bytes).replace("{{", "{{ \"{{\" }}");
        files.insert(Path::new("templates").join(path), text.into_bytes());
    }
}

/// Packs a chart like `helm package`, without times and owners.
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

    #[test]
    fn a_chart_from_a_source_tree_gets_its_version_and_no_dependencies() {
        let text = "name: rook\nversion: 0.0.1\nappVersion: 0.0.1\ndependencies: [{name: elsewhere}]\n";
        let mut files = Files::from([("Chart.yaml".into(), text.into())]);
        named(&mut files, "rook-ceph", "v1.20.6").unwrap();
        let chart: Value = serde_json::from_slice(&files[Path::new("Chart.yaml")]).unwrap();
        assert_eq!(chart, json!({"name": "rook-ceph", "version": "v1.20.6", "appVersion": "v1.20.6"}));
    }
}
