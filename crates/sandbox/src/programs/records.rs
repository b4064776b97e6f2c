//! What was downloaded: a record beside each program, and one for each release, which outlives the programs. The
//! same version must have the same digest when it is downloaded again.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::sources::Platform;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::private::{replace, secure};

/// No program has a dot in its name.
const EXTENSION: &str = "json";

/// A downloaded release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) version: String,
    /// The URL or the image.
    pub(super) source: String,
    /// That of the archive, the file, or the image.
    pub(super) digest: String,
}

impl Record {
    /// That of a program; none if it was not downloaded.
    pub(super) fn beside(program: &Path) -> Option<Self> {
        read(&program.with_extension(EXTENSION))
    }

    /// Writes it beside a program.
    pub(super) fn write_beside(&self, program: &Path) -> Result<()> {
        self.write(&program.with_extension(EXTENSION))
    }

    /// Removes the record beside a program, which is another one now.
    pub(super) fn remove_beside(program: &Path) {
        let _ = std::fs::remove_file(program.with_extension(EXTENSION));
    }

    fn write(&self, file: &Path) -> Result<()> {
        let failed = |error: &(dyn std::error::Error + 'static)| {
            Failure::step(format!("cannot write {}", file.display())).caused_by(error)
        };
        let text = serde_json::to_vec_pretty(self).map_err(|error| failed(&error))?;
        replace(file, &text).map_err(|error| failed(&error))
    }
}

fn read(file: &Path) -> Option<Record> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

/// The records of this machine.
#[derive(Debug)]
pub(super) struct Records(PathBuf);

impl Records {
    /// Those beside a cache of programs.
    pub(super) fn beside(cache: &Path) -> Self {
        Self(cache.parent().unwrap_or(cache).join("digests"))
    }

    fn file(&self, release: &str, version: &str, platform: Platform) -> PathBuf {
        self.0.join(format!("{release}-{version}-{}-{}.json", platform.os, platform.arch))
    }

    /// The record of a release.
    pub(super) fn of(&self, release: &str, version: &str, platform: Platform) -> Option<Record> {
        read(&self.file(release, version, platform))
    }

    /// Fails if the release had another digest when it was first downloaded.
    pub(super) fn compare(&self, release: &str, platform: Platform, record: &Record) -> Result<()> {
        let Some(known) = self.of(release, &record.version, platform) else { return Ok(()) };
        if known.digest == record.digest || known.source != record.source {
            return Ok(());
        }
        Err(Failure::step(format!("the digest of {release} {} has changed", record.version))
            .because(format!("{} had {} when it was first downloaded", record.source, known.digest))
            .because(format!("it has {} now", record.digest))
            .hint("a release does not change: ask its publisher why this one did")
            .hint(format!(
                "to accept the new one, delete {}",
                self.file(release, &record.version, platform).display()
            )))
    }

    /// Writes the record of a release.
    pub(super) fn write(&self, release: &str, platform: Platform, record: &Record) -> Result<()> {
        secure(&self.0).map_err(|error| {
            Failure::step(format!("cannot write to {}", self.0.display())).caused_by(&error)
        })?;
        record.write(&self.file(release, &record.version, platform))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_that_changes_is_an_error_that_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::beside(&folder.path().join("cache"));
        let platform = Platform { os: "linux", arch: "amd64" };
        let record = |version: &str, digest: &str| Record {
            version: version.into(),
            source: "https://a.test/x".into(),
            digest: format!("sha256:{digest}"),
        };
        let first = record("v1", "a");
        records.compare("x", platform, &first).unwrap();
        records.write("x", platform, &first).unwrap();
        assert_eq!(records.of("x", "v1", platform), Some(first.clone()));
        records.compare("x", platform, &first).unwrap();
        records.compare("x", platform, &record("v2", "b")).unwrap();
        records.compare("x", Platform { os: "linux", arch: "arm64" }, &record("v1", "b")).unwrap();
        let failure = records.compare("x", platform, &record("v1", "b")).unwrap_err();
        assert_eq!(failure.what, "the digest of x v1 has changed");
        assert!(
            failure.because[0].contains("sha256:a") && failure.because[1].contains("sha256:b"),
            "{failure:?}"
        );
        assert!(failure.hints[1].contains("x-v1-linux-amd64.json"), "{failure:?}");
    }
}
