//! Applies the root Kustomization of the cluster.

use super::super::words::DeclaredWord;
use super::{Applies, Awaits, Kind};
use crate::Declared;
use bootstrapper_core::failure::Result;

/// Applies the root Kustomization of the cluster.
#[derive(Debug, Clone)]
pub struct SyncSpec;

impl Kind for SyncSpec {
    type Written = DeclaredWord;

    fn read(_: Self::Written) -> Result<Self, String> {
        Ok(Self)
    }

    fn name(&self) -> String {
        "sync".to_owned()
    }

    fn applies(&self) -> Applies<'_> {
        Applies::Sync
    }

    fn awaits(&self) -> Awaits<'_> {
        Awaits::Applied
    }

    fn check(&self, _: &Declared) -> Result<()> {
        Ok(())
    }
}
