//! Looks for problems, and lists all of them.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Applies, Awaits, Kind};
use crate::Declared;
use bootstrapper_core::failure::Result;

/// Looks for problems, and lists all of them.
#[derive(Debug, Clone)]
pub struct ChecksSpec(pub Vec<Check>);

/// What preflight looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// Programs and their versions.
    Tools,
    /// The API server's version.
    Server,
    /// That it is the named cluster.
    Identity,
    /// What the credentials may do.
    Permissions,
    /// That nodes have joined, where they were declared.
    Nodes,
    /// Address ranges that collide.
    Addresses,
    /// Secrets that can be resolved.
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
