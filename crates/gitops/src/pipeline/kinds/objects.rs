//! Applies the objects of a file or folder in the repository.

use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use super::{Applies, Awaits, Kind, stem};
use crate::Declared;
use crate::pipeline::word_or::WordOr;
use bootstrapper_core::failure::Result;

/// Applies the objects of a file or folder in the repository.
#[derive(Debug, Clone)]
pub struct ObjectsSpec {
    path: String,
    namespace: Option<String>,
}

/// A path, or a path and a namespace.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(in crate::pipeline) struct ObjectsWritten(WordOr<PlacedObjects>);

/// What to apply, and the namespace.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PlacedObjects {
    /// A file, or a folder that kustomize builds. `{{cluster}}` is replaced by the cluster's name.
    path: String,
    /// The namespace to apply them in, like `targetNamespace` of a Flux Kustomization.
    namespace: Option<String>,
}

/// A path, or a path and a namespace.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "for the schema")]
enum ObjectsSchema {
    /// A file, or a folder that kustomize builds. `{{cluster}}` is replaced by the cluster's name.
    Path(String),
    /// What to apply, and the namespace.
    Placed(PlacedObjects),
}

impl JsonSchema for ObjectsWritten {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Objects".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        ObjectsSchema::json_schema(generator)
    }
}

impl ObjectsSpec {
    /// The file or folder of a cluster, relative to the repository.
    pub fn path(&self, cluster: &str) -> PathBuf {
        PathBuf::from(self.path.replace("{{cluster}}", cluster))
    }

    /// The namespace to apply them in; none for the namespace of each object.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }
}

impl Kind for ObjectsSpec {
    type Written = ObjectsWritten;

    fn read(written: Self::Written) -> Result<Self, String> {
        let (path, namespace) = match written.0 {
            WordOr::Word(path) => (path, None),
            WordOr::Other(PlacedObjects { path, namespace }) => (path, namespace),
        };
        if path.is_empty() || namespace.as_ref().is_some_and(String::is_empty) {
            return Err("`objects` needs a path, and a namespace that is not empty or none".to_owned());
        }
        Ok(Self { path, namespace })
    }

    fn name(&self) -> String {
        format!("objects-{}", stem(&self.path.replace("{{cluster}}", "cluster")))
    }

    fn applies(&self) -> Applies<'_> {
        Applies::File
    }

    fn awaits(&self) -> Awaits<'_> {
        Awaits::Applied
    }

    fn check(&self, _: &Declared) -> Result<()> {
        Ok(())
    }
}
