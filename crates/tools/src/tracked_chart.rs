//! A chart as helm-controller loads it from an OCIRepository: with the artifact's digest in its version
//! (`mutateChartWithOCIRevision` of v1.6.0), unless that is disabled.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde_json::Value;

use bootstrapper_core::digest::is_hex;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::files;
use bootstrapper_core::yaml;

/// The maximum unpacked size of a chart (Helm's own limit), and the maximum number of files.
const LARGEST: u64 = 100 * 1024 * 1024;
const FILES: usize = 20_000;

/// The length of the digest in the version.
const LENGTH: usize = 12;

/// The digest that `helm pull` printed.
pub(super) fn digest_of(printed: &str) -> Option<&str> {
    printed.lines().find_map(|line| line.trim().strip_prefix("Digest: sha256:"))
}

/// The tag that `helm pull` printed: `Pulled: registry:5000/charts/x:1.2.3`.
pub(super) fn tag_of(printed: &str) -> Option<&str> {
    let pulled = printed.lines().find_map(|line| line.trim().strip_prefix("Pulled: "))?;
    pulled.rsplit('/').next()?.split_once(':').map(|(_, tag)| tag)
}

/// Unpacks a chart into `folder`, with the digest in its version; returns its path.
pub(super) fn unpack(archive: &Path, digest: &str, folder: &Path) -> Result<PathBuf> {
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::step(format!("cannot unpack chart {}", archive.display())).caused_by(error)
    };
    let file = File::open(archive).map_err(|error| failed(&error))?;
    // The read limit is a little higher than the write limit, for headers and padding.
    let bounded = GzDecoder::new(file).take(2 * LARGEST);
    unpack_files(&mut tar::Archive::new(bounded), folder).map_err(|error| failed(&error))?;
    let chart = chart_in(folder).map_err(|error| failed(&error))?;
    let place = chart.join("Chart.yaml");
    let text = files::read_regular(&place).map_err(|error| failed(&error))?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut metadata: Value = yaml::from_str(&text, &place)?;
    let version = metadata["version"].as_str().unwrap_or_default();
    metadata["version"] = tracked(version, digest).into();
    fs::write(&place, metadata.to_string()).map_err(|error| failed(&error))?;
    Ok(chart)
}

/// Unpacks files and folders, as Helm does: no links, which could leave the chart, and at most Helm's limit.
fn unpack_files<R: io::Read>(archive: &mut tar::Archive<R>, folder: &Path) -> io::Result<()> {
    let (mut bytes, mut files) = (0_u64, 0_usize);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if !kind.is_file() && !kind.is_dir() {
            continue;
        }
        (bytes, files) = (bytes.saturating_add(entry.size()), files + 1);
        if bytes > LARGEST || files > FILES {
            let limit = format!("it unpacks to more than {} MiB or {FILES} files", LARGEST / 1024 / 1024);
            return Err(io::Error::other(limit));
        }
        entry.unpack_in(folder)?;
    }
    Ok(())
}

/// An archive contains one folder: the chart.
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

/// The possible versions without the digest: with or without `v`. Empty if it has no digest.
pub fn without_digest(version: &str) -> Vec<String> {
    match version.split_once('+') {
        Some((plain, digest)) if is_hex(digest, LENGTH) => vec![plain.to_owned(), format!("v{plain}")],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, tar::EntryType, &str, u64)]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chart.tgz");
        let packed = flate2::write::GzEncoder::new(File::create(&file).unwrap(), flate2::Compression::best());
        let mut builder = tar::Builder::new(packed);
        for (name, kind, target, size) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_size(*size);
            if kind.is_symlink() {
                builder.append_link(&mut header, name, target).unwrap();
            } else if *size == target.len() as u64 {
                builder.append_data(&mut header, name, target.as_bytes()).unwrap();
            } else {
                builder.append_data(&mut header, name, io::repeat(0).take(*size)).unwrap();
            }
        }
        builder.into_inner().unwrap().finish().unwrap();
        (folder, file)
    }

    #[test]
    fn an_archive_leads_nowhere_and_ends() {
        let metadata = "name: c\nversion: 1.0.0\n";
        let of = metadata.len() as u64;
        let file = tar::EntryType::Regular;
        let (folder, chart) = archive(&[
            ("c/Chart.yaml", file, metadata, of),
            ("c/link", tar::EntryType::Symlink, "/etc/hostname", 0),
        ]);
        let into = folder.path().join("into");
        fs::create_dir(&into).unwrap();
        let unpacked = unpack(&chart, "0123456789abcdef", &into).unwrap();
        assert!(unpacked.join("Chart.yaml").is_file() && !unpacked.join("link").exists());

        let outside = folder.path().join("outside");
        fs::write(&outside, "mine").unwrap();
        let (folder, chart) =
            archive(&[("c/Chart.yaml", tar::EntryType::Symlink, outside.to_str().unwrap(), 0)]);
        let into = folder.path().join("into");
        fs::create_dir(&into).unwrap();
        assert!(unpack(&chart, "0123456789abcdef", &into).is_err());
        assert_eq!(fs::read_to_string(&outside).unwrap(), "mine");

        let (folder, chart) =
            archive(&[("c/Chart.yaml", file, metadata, of), ("c/large", file, "", LARGEST + 1)]);
        let into = folder.path().join("into");
        fs::create_dir(&into).unwrap();
        assert!(unpack(&chart, "0123456789abcdef", &into).unwrap_err().to_string().contains("100 MiB"));
        assert!(!into.join("c/large").exists());
    }

    #[test]
    fn the_digest_is_part_of_the_version() {
        let printed = "Pulled: r.test/x:1.2.3\nDigest: sha256:0123456789abcdef\n";
        assert_eq!(digest_of(printed), Some("0123456789abcdef"));
        assert_eq!(digest_of("nothing"), None);
        assert_eq!(tag_of(printed), Some("1.2.3"));
        assert_eq!(tag_of("Pulled: r.test:5000/x\n"), None);
        assert_eq!(tracked("1.2.3", "0123456789abcdef"), "1.2.3+0123456789ab");
        assert_eq!(tracked("v1.2.3+old", "0123456789abcdef"), "1.2.3+0123456789ab");
        assert_eq!(without_digest("1.2.3+0123456789ab"), ["1.2.3", "v1.2.3"]);
        assert!(without_digest("1.2.3+meta").is_empty() && without_digest("1.2.3").is_empty());
    }
}
