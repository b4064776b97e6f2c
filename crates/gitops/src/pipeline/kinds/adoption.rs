//! Reports the hand-over to Flux: a forecast before it, or a verification after it.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Applies, Awaits, Kind};
use crate::Declared;
use bootstrapper_core::failure::Result;

/// When to report the hand-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Moment")]
pub enum AdoptionSpec {
    /// Before Flux starts: the forecast.
    #[serde(alias = "foretold")]
    Forecast,
    /// After the hand-over: what Flux changed.
    #[serde(alias = "confirmed")]
    Verify,
}

impl Kind for AdoptionSpec {
    type Written = Self;

    fn read(written: Self::Written) -> Result<Self, String> {
        Ok(written)
    }

    fn name(&self) -> String {
        match self {
            Self::Forecast => "adoption-forecast".to_owned(),
            Self::Verify => "adoption-verify".to_owned(),
        }
    }

    fn applies(&self) -> Applies<'_> {
        Applies::Nothing
    }

    fn awaits(&self) -> Awaits<'_> {
        Awaits::Nothing
    }

    fn check(&self, _: &Declared) -> Result<()> {
        Ok(())
    }
}
