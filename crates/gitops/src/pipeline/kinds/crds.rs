//! Applies CRDs, and waits until they are served.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::words::Named;
use super::{Applies, Awaits, Kind, stem};
use crate::Declared;
use bootstrapper_core::digest::is_hex;
use bootstrapper_core::failure::Result;

/// Where CRDs come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CrdsSpec {
    /// The Flux Kustomization of that name, and those that it brings.
    Kustomization(String),
    /// A manifest.
    Manifest(Manifest),
    /// The charts of releases: of all that are declared, or of these.
    Releases(Named),
}

/// A file of objects, and what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// An `https://` address, or a path of the repository.
    pub location: String,
    /// The SHA-256 of what the address answers, in hexadecimal.
    pub sha256: Option<String>,
}

/// Where CRDs come from: exactly one of `kustomization`, `manifest` and `releases`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::pipeline) struct CrdsFile {
    /// The Flux Kustomization of that name, and those that it brings.
    kustomization: Option<String>,
    /// A manifest: an `https://` address, or a path of the repository. `${VAR}` stands for a setting.
    manifest: Option<String>,
    /// The SHA-256 of what the address of `manifest` answers, in hexadecimal: anything else is refused.
    /// `${VAR}` stands for a setting.
    sha256: Option<String>,
    /// The charts of releases: `declared` for all of them, or a list of HelmReleases by name.
    releases: Option<Named>,
}

impl Kind for CrdsSpec {
    type Written = CrdsFile;

    fn read(written: Self::Written) -> Result<Self, String> {
        written.read()
    }

    fn name(&self) -> String {
        match self {
            Self::Kustomization(name) => format!("crds-{name}"),
            Self::Manifest(manifest) => format!("crds-{}", stem(&manifest.location)),
            Self::Releases(_) => "crds-releases".to_owned(),
        }
    }

    fn applies(&self) -> Applies<'_> {
        match self {
            Self::Kustomization(name) => Applies::CrdsOfKustomization(name),
            Self::Manifest(manifest) => Applies::CrdsOfManifest(manifest),
            Self::Releases(named) => Applies::CrdsOfReleases(named),
        }
    }

    fn awaits(&self) -> Awaits<'_> {
        Awaits::Applied
    }

    fn check(&self, _: &Declared) -> Result<()> {
        Ok(())
    }
}

impl CrdsFile {
    fn read(self) -> Result<CrdsSpec, String> {
        match (self.kustomization, self.manifest, self.releases) {
            (Some(name), None, None) if self.sha256.is_none() => Ok(CrdsSpec::Kustomization(name)),
            (None, None, Some(named)) if self.sha256.is_none() => Ok(CrdsSpec::Releases(named)),
            (None, Some(location), None) => match &self.sha256 {
                Some(_) if !location.contains("://") => {
                    Err("`sha256` is of what an address answers; git keeps what lies in the repository"
                        .to_owned())
                }
                Some(digest) if !digest.contains("${") && !is_sha256(digest) => {
                    Err(format!("`{digest}` is no SHA-256 (64 hexadecimal digits)"))
                }
                _ => Ok(CrdsSpec::Manifest(Manifest { location, sha256: self.sha256 })),
            },
            (None, None, None) | (Some(_), ..) | (_, _, Some(_)) if self.sha256.is_some() => {
                Err("`sha256` belongs to a `manifest`".to_owned())
            }
            _ => Err("crds need exactly one of `kustomization`, `manifest` and `releases`".to_owned()),
        }
    }
}

/// Whether a text is a SHA-256 in hexadecimal.
pub fn is_sha256(text: &str) -> bool {
    is_hex(text, 64)
}
