//! Creates namespaces.

use super::super::words::Named;
use super::{Applies, Awaits, Kind};
use crate::Declared;
use bootstrapper_core::failure::Result;

/// Creates namespaces.
#[derive(Debug, Clone)]
pub struct NamespacesSpec(pub Named);

impl Kind for NamespacesSpec {
    type Written = Named;

    fn read(written: Self::Written) -> Result<Self, String> {
        Ok(Self(written))
    }

    fn name(&self) -> String {
        "namespaces".to_owned()
    }

    fn applies(&self) -> Applies<'_> {
        Applies::Namespaces(&self.0)
    }

    fn awaits(&self) -> Awaits<'_> {
        Awaits::Applied
    }

    fn check(&self, _: &Declared) -> Result<()> {
        Ok(())
    }
}
