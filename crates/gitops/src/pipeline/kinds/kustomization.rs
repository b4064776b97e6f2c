//! Applies the objects of a Flux Kustomization.

use super::{Applies, Awaits, Kind};
use crate::{Declared, Kustomization};
use bootstrapper_core::failure::Result;

/// Builds and applies the Flux Kustomization with this name.
#[derive(Debug, Clone)]
pub struct KustomizationSpec(pub String);

impl Kind for KustomizationSpec {
    type Written = String;

    fn read(written: Self::Written) -> Result<Self, String> {
        Ok(Self(written))
    }

    fn name(&self) -> String {
        format!("kustomization-{}", self.0)
    }

    fn applies(&self) -> Applies<'_> {
        Applies::Kustomization(&self.0)
    }

    fn awaits(&self) -> Awaits<'_> {
        Awaits::Applied
    }

    fn check(&self, declared: &Declared) -> Result<()> {
        declared.kustomization(&self.0).map(Kustomization::applicable).transpose()?;
        Ok(())
    }
}
