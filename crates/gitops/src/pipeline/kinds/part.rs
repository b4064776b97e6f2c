//! Applies some objects of a Flux Kustomization.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Applies, Awaits, Kind};
use crate::Declared;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, ObjectRef};

/// The objects of a Flux Kustomization to apply. Every field that is set must match.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartSpec {
    /// The Flux Kustomization.
    pub of: String,
    /// Objects of one of these kinds.
    #[serde(default)]
    pub kinds: Vec<String>,
    /// Objects in one of these namespaces.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// Objects with one of these names.
    #[serde(default)]
    pub names: Vec<String>,
    /// Objects with all of these labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

impl PartSpec {
    /// Whether an object is in this part.
    pub fn has(&self, object: &Object) -> bool {
        let id = ObjectRef::of(object);
        let is_among =
            |wanted: &[String], own: &str| wanted.is_empty() || wanted.iter().any(|one| one == own);
        let labels = object.metadata.labels.as_ref();
        is_among(&self.kinds, &id.kind)
            && is_among(&self.namespaces, id.namespace.as_deref().unwrap_or_default())
            && is_among(&self.names, &id.name)
            && self.labels.iter().all(|(key, value)| labels.and_then(|own| own.get(key)) == Some(value))
    }
}

impl Kind for PartSpec {
    type Written = Self;

    fn read(written: Self::Written) -> Result<Self, String> {
        if written.kinds.is_empty() && written.names.is_empty() && written.labels.is_empty() {
            return Err("a part needs `kinds`, `names` or `labels` (`kustomization:` applies all)".to_owned());
        }
        Ok(written)
    }

    fn name(&self) -> String {
        format!("part-{}", self.of)
    }

    fn applies(&self) -> Applies<'_> {
        Applies::Part(self)
    }

    fn awaits(&self) -> Awaits<'_> {
        Awaits::Applied
    }

    fn check(&self, declared: &Declared) -> Result<()> {
        let Some(kustomization) = declared.kustomization(&self.of) else { return Ok(()) };
        if kustomization.is_here && !kustomization.objects.iter().any(|object| self.has(object)) {
            return Err(Failure::input(format!("Kustomization {} has no object of this part", self.of)));
        }
        kustomization.applicable_part(|object| self.has(object))?;
        Ok(())
    }
}
