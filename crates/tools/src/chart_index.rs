//! The digest of an archive in the index of a classic repository.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;

use super::ChartSource;
use bootstrapper_core::digest::sha256;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::yaml;

#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    entries: HashMap<String, Vec<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    urls: Vec<String>,
    #[serde(default)]
    digest: Option<String>,
}

/// The archive of a chart.
#[derive(Debug, Clone)]
pub(super) struct Archive {
    /// Its SHA-256.
    pub(super) digest: String,
    /// A remark: the index has no digest.
    pub(super) word: Option<String>,
}

/// Rejects an archive that differs from the index.
pub(super) fn verify(index: &Path, name: &str, archive: &Path, chart: &ChartSource) -> Result<Archive> {
    let content = std::fs::read(archive)
        .map_err(|error| Failure::step(format!("cannot read chart {chart}")).caused_by(&error))?;
    let digest = sha256(content);
    let file = archive.file_name().map(|file| file.to_string_lossy().into_owned()).unwrap_or_default();
    let text = std::fs::read_to_string(index).unwrap_or_default();
    let Some(declared) = declared(&text, name, &file) else {
        let word =
            format!("chart {chart} is not verified: the repository index has no digest (sha256 {digest})");
        return Ok(Archive { digest, word: Some(word) });
    };
    if declared == digest {
        return Ok(Archive { digest, word: None });
    }
    Err(Failure::input(format!("chart {chart} does not match the digest in its repository index"))
        .because(format!("sha256 in the index:   {declared}"))
        .because(format!("sha256 of the archive: {digest}"))
        .hint("it was not installed: contact its publisher, or use another version"))
}

/// The digest of a chart's file in an index.
fn declared(text: &str, name: &str, file: &str) -> Option<String> {
    let index: Index = yaml::from_str(text, Path::new("index.yaml")).ok()?;
    let is_it =
        |url: &String| url.split(['?', '#']).next().unwrap_or_default().rsplit('/').next() == Some(file);
    let entries = index.entries.get(name)?;
    let digest = entries.iter().find(|entry| entry.urls.iter().any(is_it))?.digest.as_deref()?;
    let digest = digest.strip_prefix("sha256:").unwrap_or(digest).to_ascii_lowercase();
    Some(digest).filter(|digest| !digest.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_tells_the_digest_of_each_file() {
        let text = "apiVersion: v1\nentries:\n  c:\n  - {version: 1.0.0, digest: AB, urls: [https://x.test/a/c-1.0.0.tgz?x=1]}\n  - {version: 2.0.0, digest: 'sha256:cd', urls: [c-2.0.0.tgz]}\n  - {version: 3.0.0, urls: [c-3.0.0.tgz]}\n";
        let of = |file: &str| declared(text, "c", file);
        assert_eq!(of("c-1.0.0.tgz").as_deref(), Some("ab"));
        assert_eq!(of("c-2.0.0.tgz").as_deref(), Some("cd"));
        assert_eq!(of("c-3.0.0.tgz"), None);
        assert_eq!(of("c-4.0.0.tgz"), None);
        assert_eq!(declared("]", "c", "c-1.0.0.tgz"), None);
    }
}
