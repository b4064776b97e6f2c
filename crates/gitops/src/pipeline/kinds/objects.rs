//! Applies the objects of a file of the repository.

use std::path::PathBuf;

use super::{Applies, Awaits, Kind, stem};
use crate::Declared;
use bootstrapper_core::failure::Result;

/// Applies the objects of a file of the repository.
#[derive(Debug, Clone)]
pub struct ObjectsSpec(pub PathBuf);

impl Kind for ObjectsSpec {
    type Written = PathBuf;

    fn read(written: Self::Written) -> Result<Self, String> {
        Ok(Self(written))
    }

    fn name(&self) -> String {
        format!("objects-{}", stem(&self.0.to_string_lossy()))
    }

    fn applies(&self) -> Applies<'_> {
        Applies::File
    }

    fn awaits(&self) -> Awaits<'_> {
        Awaits::Applied
    }

    fn check(&self, _: &Declared) -> Result<()> {
        Ok(())
    }
}
