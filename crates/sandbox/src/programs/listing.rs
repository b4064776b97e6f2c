//! Where each program of a sandbox is from.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Programs;
use super::assets::known_hash;
use super::build::{cache, sum_of, version_of};
use super::records::Record;
use super::sources::release_of;
use bootstrapper_core::failure::Result;

/// The programs of sandboxes on this machine.
#[derive(Debug, Clone, Serialize)]
pub struct FoundPrograms {
    /// The folder of helm and kustomize.
    pub folder: PathBuf,
    /// The folder of charts and CRDs.
    pub assets: PathBuf,
    /// Each program.
    pub programs: Vec<ListedProgram>,
}

/// A program of sandboxes.
#[derive(Debug, Clone, Serialize)]
pub struct ListedProgram {
    /// Its name.
    pub program: String,
    /// Its version; none if it is this machine's own.
    pub version: Option<String>,
    /// How it came here.
    pub origin: ProgramOrigin,
    /// The URL or the image that it was downloaded from, or the Go module that it was built from.
    pub source: Option<String>,
    /// The digest of the archive, file or image, or the hash of the module.
    pub digest: Option<String>,
    /// Where it is.
    pub path: PathBuf,
}

/// How a program came to this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProgramOrigin {
    /// An official release.
    Downloaded,
    /// Built from Go modules.
    Built,
    /// From `--binaries`, `KUBEBUILDER_ASSETS` or PATH.
    Local,
}

impl fmt::Display for ProgramOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Downloaded => "downloaded",
            Self::Built => "built",
            Self::Local => "local",
        })
    }
}

impl FoundPrograms {
    /// Describes programs.
    pub(crate) fn of(programs: &Programs) -> Result<Self> {
        let cache = cache()?;
        let helm = programs.path("helm")?;
        Ok(Self {
            folder: helm.parent().unwrap_or(&helm).to_owned(),
            assets: programs.assets.folder().to_owned(),
            programs: programs.all().map(|(name, path)| listed(name, path, &cache)).collect(),
        })
    }
}

fn listed(name: &str, path: &Path, cache: &Path) -> ListedProgram {
    let local = ListedProgram {
        program: name.to_owned(),
        version: None,
        origin: ProgramOrigin::Local,
        source: None,
        digest: None,
        path: path.to_owned(),
    };
    if !path.starts_with(cache) {
        return local;
    }
    if let Some(Record { version, source, digest }) = Record::beside(path) {
        return ListedProgram {
            version: Some(version),
            origin: ProgramOrigin::Downloaded,
            source: Some(source),
            digest: Some(digest),
            ..local
        };
    }
    let module = release_of(name).map(|release| release.module);
    let version = module.and_then(|module| version_of(module).ok());
    let source = module.zip(version.as_ref()).map(|(module, version)| format!("{module}@{version}"));
    let digest =
        source.as_deref().and_then(|module| sum_of(module).or_else(|| known_hash(module).map(str::to_owned)));
    ListedProgram { origin: ProgramOrigin::Built, version, source, digest, ..local }
}
