//! Runs preflight checks, and reports every problem.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Applies, Awaits, Kind};
use crate::Declared;
use bootstrapper_core::failure::Result;

/// Preflight checks, which report every problem.
#[derive(Debug, Clone)]
pub struct ChecksSpec(pub Vec<Check>);

/// A preflight check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// Programs and their versions.
    Tools,
    /// The API server's version.
    Server,
    /// The cluster's identity.
    Identity,
    /// The permissions of the credentials.
    Permissions,
    /// Whether all declared nodes have joined.
    Nodes,
    /// Overlapping address ranges.
    Addresses,
    /// Whether all secrets can be resolved.
    Secrets,
}

impl Kind for ChecksSpec {
    type Written = Vec<Check>;

    fn read(written: Self::Written) -> Result<Self, String> {
        Ok(Self(written))
    }

    fn name(&self) -> String {
        "checks".to_owned()
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
