//! Waits for the hand-over to Flux.

use super::super::words::DeclaredWord;
use super::{Applies, Awaits, Kind};
use crate::Declared;
use bootstrapper_core::failure::Result;

/// Waits for the hand-over to Flux.
#[derive(Debug, Clone)]
pub struct HandoverSpec;

impl Kind for HandoverSpec {
    type Written = DeclaredWord;

    fn read(_: Self::Written) -> Result<Self, String> {
        Ok(Self)
    }

    fn name(&self) -> String {
        "handover".to_owned()
    }

    fn applies(&self) -> Applies<'_> {
        Applies::Nothing
    }

    fn awaits(&self) -> Awaits<'_> {
        Awaits::Flux
    }

    fn check(&self, _: &Declared) -> Result<()> {
        Ok(())
    }
}
