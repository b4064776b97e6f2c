//! Schemas of the CRDs that a cluster declares.

use serde_json::Value;

use super::{Known, Schema, Scope};
use bootstrapper_core::object::{Object, is_crd};

/// A parsed CRD.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crd<'a> {
    pub(super) group: &'a str,
    pub(super) kind: &'a str,
    pub(super) name: &'a str,
    pub(super) spec: &'a Value,
    /// The Flux version that it belongs to, if it is bundled with this program.
    pub(super) of: Option<&'a str>,
}

impl<'a> Crd<'a> {
    /// Parses a CRD; none if the object is of another kind.
    pub(super) fn read(object: &'a Object) -> Option<Self> {
        if !is_crd(object) {
            return None;
        }
        let spec = &object.data["spec"];
        Some(Self {
            group: spec["group"].as_str()?,
            kind: spec["names"]["kind"].as_str()?,
            name: object.metadata.name.as_deref()?,
            spec,
            of: None,
        })
    }

    pub(super) fn known(&self, version: &str) -> Known<'a> {
        let served = || {
            let versions = self.spec["versions"].as_array().into_iter().flatten();
            versions.filter(|version| version["served"] != false)
        };
        let name = |version: &'a Value| version["name"].as_str().unwrap_or_default();
        match served().find(|one| name(one) == version) {
            Some(found) => Known::Schema(Schema {
                root: &found["schema"]["openAPIV3Schema"],
                definitions: &Value::Null,
                scope: if self.spec["scope"] == "Cluster" { Scope::Cluster } else { Scope::Namespaced },
                source: match self.of {
                    Some(version) => format!("the CRD {} of Flux {version}", self.name),
                    None => format!("the CRD {}", self.name),
                },
            }),
            None => {
                Known::OtherVersions(served().map(|one| format!("{}/{}", self.group, name(one))).collect())
            }
        }
    }
}
