//! Kubernetes objects as data: what every room below the engine passes around.

use std::fmt;

use kube_core::DynamicObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::output::one_line;

/// A Kubernetes object of any kind, as JSON with typed metadata.
pub type Object = DynamicObject;

/// A value in which nothing stands for something that is not known. Only such a value is written to a
/// cluster: what is rendered from variables becomes one where all of them are known, and nowhere else.
#[derive(Debug, Clone, PartialEq)]
pub struct Complete<T>(T);

impl<T> Complete<T> {
    /// Vouches for a value that no variable has a part in: made by this program, or read as it is written.
    pub fn of_own(value: T) -> Self {
        Self(value)
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> std::ops::Deref for Complete<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Whether an object is the definition of a kind.
pub fn is_crd(object: &Object) -> bool {
    object.types.as_ref().is_some_and(|types| types.kind == "CustomResourceDefinition")
}

/// Whether pods are made by an object, and made anew if its template changes.
pub fn is_workload(object: &Object) -> bool {
    object
        .types
        .as_ref()
        .is_some_and(|types| matches!(types.kind.as_str(), "Deployment" | "DaemonSet" | "StatefulSet"))
}

/// Names one object of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectRef {
    /// `group/version`, or `version` for the core group.
    pub api_version: String,
    /// The kind, in its singular CamelCase form.
    pub kind: String,
    /// The namespace; none for cluster-scoped objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

impl ObjectRef {
    /// Names an object in a namespace.
    pub fn namespaced(api_version: &str, kind: &str, namespace: &str, name: &str) -> Self {
        Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        }
    }

    /// Names a cluster-scoped object.
    pub fn cluster_scoped(api_version: &str, kind: &str, name: &str) -> Self {
        Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: None,
            name: name.to_owned(),
        }
    }

    /// The name of `object`; empty strings stand for what it does not say.
    pub fn of(object: &Object) -> Self {
        let types = object.types.clone().unwrap_or_default();
        Self {
            api_version: types.api_version,
            kind: types.kind,
            namespace: object.metadata.namespace.clone(),
            name: object.metadata.name.clone().unwrap_or_default(),
        }
    }

    /// The API group: empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// The API version without its group.
    pub fn version(&self) -> &str {
        self.api_version.split_once('/').map_or(self.api_version.as_str(), |(_, version)| version)
    }
}

impl fmt::Display for ObjectRef {
    /// `Kind namespace/name`, as people say it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A hostile cluster may call an object anything.
        let (kind, name) = (one_line(&self.kind), one_line(&self.name));
        match &self.namespace {
            Some(namespace) => write!(f, "{kind} {}/{name}", one_line(namespace)),
            None => write!(f, "{kind} {name}"),
        }
    }
}

/// Selects objects of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selection {
    /// `group/version`, or `version` for the core group.
    pub api_version: String,
    /// The kind, in its singular CamelCase form.
    pub kind: String,
    /// The namespace; all of them if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// A label selector, as `kubectl get -l` takes it; all objects if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<String>,
    /// A field selector, as `kubectl get --field-selector` takes it; all objects if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<String>,
}

impl Selection {
    /// All objects of a kind, in all namespaces.
    pub fn of(api_version: &str, kind: &str) -> Self {
        Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: None,
            labels: None,
            fields: None,
        }
    }

    /// Only those of a namespace.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Only those that a label selector matches.
    #[must_use]
    pub fn labelled(mut self, labels: &str) -> Self {
        self.labels = Some(labels.to_owned());
        self
    }

    /// Only those that a field selector matches.
    #[must_use]
    pub fn whose(mut self, fields: &str) -> Self {
        self.fields = Some(fields.to_owned());
        self
    }
}
