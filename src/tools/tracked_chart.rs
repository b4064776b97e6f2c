//! A chart as helm-controller loads it from an OCIRepository: its version has the artifact's digest
//! (`mutateChartWithOCIRevision` of v1.6.0), unless that is switched off.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::yaml;

/// How much of a digest counts.
const LENGTH: usize = 12;

/// The digest that `helm pull` printed.
pub(super) fn digest_of(printed: &str) -> Option<&str> {
    printed.lines().find_map(|line| line.trim().strip_prefix("Digest: sha256:"))
}

/// Unpacks a chart into `folder`, with the digest in its version; where it lies there.
pub(super) fn unpack(archive: &Path, digest: &str, folder: &Path) -> Result<PathBuf> {
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::step(format!("chart {} cannot be unpacked", archive.display())).caused_by(error)
    };
    let file = File::open(archive).map_err(|error| failed(&error))?;
    tar::Archive::new(GzDecoder::new(file)).unpack(folder).map_err(|error| failed(&error))?;
    let chart = chart_in(folder).map_err(|error| failed(&error))?;
    let place = chart.join("Chart.yaml");
    let text = fs::read_to_string(&place).map_err(|error| failed(&error))?;
    let mut metadata: Value = yaml::from_str(&text, &place)?;
    let version = metadata["version"].as_str().unwrap_or_default();
    metadata["version"] = tracked(version, digest).into();
    fs::write(&place, metadata.to_string()).map_err(|error| failed(&error))?;
    Ok(chart)
}

/// An archive holds one folder: the chart.
fn chart_in(folder: &Path) -> io::Result<PathBuf> {
    let mut entries = fs::read_dir(folder)?.filter_map(io::Result::ok).map(|entry| entry.path());
    entries
        .find(|path| path.join("Chart.yaml").is_file())
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no Chart.yaml in it"))
}

fn tracked(version: &str, digest: &str) -> String {
    let plain = version.trim_start_matches('v').split('+').next().unwrap_or_default();
    format!("{plain}+{}", digest.chars().take(LENGTH).collect::<String>())
}

/// What a version with a digest may have been before: with a `v`, or without. Nothing if it has none.
pub fn without_digest(version: &str) -> Vec<String> {
    let is_digest = |text: &str| text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match version.split_once('+') {
        Some((plain, digest)) if is_digest(digest) => vec![plain.to_owned(), format!("v{plain}")],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_part_of_the_version() {
        let printed = "Pulled: r.test/x:1.2.3\nDigest: sha256:0123456789abcdef\n";
        assert_eq!(digest_of(printed), Some("0123456789abcdef"));
        assert_eq!(digest_of("nothing"), None);
        assert_eq!(tracked("1.2.3", "0123456789abcdef"), "1.2.3+0123456789ab");
        assert_eq!(tracked("v1.2.3+old", "0123456789abcdef"), "1.2.3+0123456789ab");
        assert_eq!(without_digest("1.2.3+0123456789ab"), ["1.2.3", "v1.2.3"]);
        assert!(without_digest("1.2.3+meta").is_empty() && without_digest("1.2.3").is_empty());
    }
}
