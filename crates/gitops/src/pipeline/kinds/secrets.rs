//! Creates the secrets declared in `bootstrapper.yaml`.

use super::super::words::DeclaredWord;
use super::{Applies, Awaits, Kind};
use crate::Declared;
use bootstrapper_core::failure::Result;

/// Creates the secrets declared in `bootstrapper.yaml`.
#[derive(Debug, Clone)]
pub struct SecretsSpec;

impl Kind for SecretsSpec {
    type Written = DeclaredWord;

    fn read(_: Self::Written) -> Result<Self, String> {
        Ok(Self)
    }

    fn name(&self) -> String {
        "secrets".to_owned()
    }

    fn applies(&self) -> Applies<'_> {
        Applies::Secrets
    }

    fn awaits(&self) -> Awaits<'_> {
        Awaits::Nothing
    }

    fn check(&self, _: &Declared) -> Result<()> {
        Ok(())
    }
}
