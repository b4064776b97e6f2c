//! Applies a manifest from a URL.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Applies, Awaits, Kind, Manifest, stem};
use crate::Declared;
use bootstrapper_core::failure::Result;

/// Applies all objects of a manifest from a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteManifestSpec(pub Manifest);

/// A manifest at a URL.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::pipeline) struct ManifestFile {
    /// The `https://` URL. `${VAR}` is replaced by a setting.
    url: String,
    /// The SHA-256 of the file, in hexadecimal: any other content is rejected. `${VAR}` is replaced by a
    /// setting.
    sha256: Option<String>,
}

impl Kind for RemoteManifestSpec {
    type Written = ManifestFile;

    fn read(written: Self::Written) -> Result<Self, String> {
        let ManifestFile { url, sha256 } = written;
        if !url.starts_with("https://") {
            return Err(
                "`url` of a manifest needs an https:// address (`objects:` applies files of the repository)"
                    .to_owned(),
            );
        }
        Manifest::new(url, sha256).map(Self)
    }

    fn name(&self) -> String {
        format!("manifest-{}", stem(&self.0.location))
    }

    fn applies(&self) -> Applies<'_> {
        Applies::Manifest(&self.0)
    }

    fn awaits(&self) -> Awaits<'_> {
        Awaits::Applied
    }

    /// The version may be declared by the time of a run: if it is missing, a plan reports it.
    fn check(&self, _: &Declared) -> Result<()> {
        Ok(())
    }
}
