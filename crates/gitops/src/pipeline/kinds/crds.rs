//! Applies CRDs, and waits until they are served.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::words::Named;
use super::{Applies, Awaits, Kind, stem};
use crate::Declared;
use bootstrapper_core::digest::is_hex;
use bootstrapper_core::failure::Result;

/// The source of CRDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CrdsSpec {
    /// The Flux Kustomization with this name, and those that it applies.
    Kustomization(String),
    /// A manifest.
    Manifest(Manifest),
    /// The charts of releases: all declared ones, or these.
    Releases(Named),
}

/// A manifest and its expected digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// An `https://` URL, or a path in the repository.
    pub location: String,
    /// The SHA-256 of the content, in hexadecimal.
    pub sha256: Option<String>,
}

impl Manifest {
    /// Fails if the digest is invalid.
    pub(super) fn new(location: String, sha256: Option<String>) -> Result<Self, String> {
        match &sha256 {
            Some(digest) if !digest.contains("${") && !is_sha256(digest) => {
                Err(format!("invalid SHA-256 `{digest}` (use 64 hexadecimal digits)"))
            }
            _ => Ok(Self { location, sha256 }),
        }
    }
}

/// The source of CRDs: exactly one of `kustomization`, `manifest` and `releases`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::pipeline) struct CrdsFile {
    /// The Flux Kustomization with this name, and those that it applies.
    kustomization: Option<String>,
    /// A manifest: an `https://` URL, or a path in the repository. `${VAR}` is replaced by a setting.
    manifest: Option<String>,
    /// The SHA-256 of the content of `manifest`, in hexadecimal; any other content is rejected. `${VAR}` is
    /// replaced by a setting.
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
                    Err("`sha256` applies only to a URL, not to a file of the repository".to_owned())
                }
                _ => Manifest::new(location, self.sha256).map(CrdsSpec::Manifest),
            },
            (None, None, None) | (Some(_), ..) | (_, _, Some(_)) if self.sha256.is_some() => {
                Err("`sha256` requires `manifest`".to_owned())
            }
            _ => Err("crds requires exactly one of `kustomization`, `manifest` and `releases`".to_owned()),
        }
    }
}

/// Whether a text is a SHA-256 digest in hexadecimal.
pub fn is_sha256(text: &str) -> bool {
    is_hex(text, 64)
}
