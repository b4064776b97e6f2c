//! Installs a HelmRelease of the cluster.

use super::{Applies, Awaits, Kind};
use crate::{Declared, Release};
use bootstrapper_core::failure::Result;

/// Installs the HelmRelease with this name.
#[derive(Debug, Clone)]
pub struct ReleaseSpec(pub String);

impl Kind for ReleaseSpec {
    type Written = String;

    fn read(written: Self::Written) -> Result<Self, String> {
        Ok(Self(written))
    }

    fn name(&self) -> String {
        format!("release-{}", self.0)
    }

    fn applies(&self) -> Applies<'_> {
        Applies::Release(&self.0)
    }

    fn awaits(&self) -> Awaits<'_> {
        Awaits::Applied
    }

    fn check(&self, declared: &Declared) -> Result<()> {
        let release = declared.release(&self.0).filter(|release| !release.is_suspended());
        release.map(Release::installable).transpose()?;
        Ok(())
    }
}
