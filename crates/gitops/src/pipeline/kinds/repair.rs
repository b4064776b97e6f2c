//! Repairs a known fault of a cluster.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Applies, Awaits, Kind};
use crate::Declared;
use bootstrapper_core::failure::Result;

/// A repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "Repair")]
pub enum RepairSpec {
    /// Restart a cilium-operator that started before the Gateway API CRDs.
    #[serde(rename = "cilium.gateway")]
    CiliumGateway,
}

impl Kind for RepairSpec {
    type Written = Self;

    fn read(written: Self::Written) -> Result<Self, String> {
        Ok(written)
    }

    fn name(&self) -> String {
        match self {
            Self::CiliumGateway => "repair-cilium.gateway".to_owned(),
        }
    }

    fn applies(&self) -> Applies<'_> {
        Applies::Nothing
    }

    fn awaits(&self) -> Awaits<'_> {
        Awaits::Applied
    }

    fn check(&self, _: &Declared) -> Result<()> {
        Ok(())
    }
}
