//! Kubernetes objects as data.

use std::fmt;

use kube_core::DynamicObject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::output::one_line;

/// A Kubernetes object of any kind, as JSON with typed metadata.
pub type Object = DynamicObject;

/// A value without placeholders for unknown values. Only such a value can be written to a cluster: rendered
/// objects become one where all variables are known, and nowhere else.
#[derive(Debug, Clone, PartialEq)]
pub struct Complete<T>(T);

impl<T> Complete<T> {
    /// Asserts that a value depends on no variable: defined by this program, or read verbatim.
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

/// Whether an object is a CRD.
pub fn is_crd(object: &Object) -> bool {
    object.types.as_ref().is_some_and(|types| types.kind == "CustomResourceDefinition")
}

/// Whether an object creates pods, and replaces them when its template changes.
pub fn is_workload(object: &Object) -> bool {
    object
        .types
        .as_ref()
        .is_some_and(|types| matches!(types.kind.as_str(), "Deployment" | "DaemonSet" | "StatefulSet"))
}

/// Identifies one object of a cluster.
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
    /// References an object in a namespace.
    pub fn namespaced(api_version: &str, kind: &str, namespace: &str, name: &str) -> Self {
        Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        }
    }

    /// References a cluster-scoped object.
    pub fn cluster_scoped(api_version: &str, kind: &str, name: &str) -> Self {
        Self {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: None,
            name: name.to_owned(),
        }
    }

    /// The reference of `object`, with empty strings for missing fields.
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

    /// The resource of its kind, by the English rules that Kubernetes and the generators of CRDs follow. kube has the
    /// same rules, and overflows on a kind of one letter.
    pub fn plural(&self) -> String {
        let kind = self.kind.to_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| kind.ends_with(ending));
        match kind.strip_suffix('y') {
            _ if kind == "endpoints" => kind,
            Some(stem) if !ends(&["ay", "ey", "oy", "uy"]) => format!("{stem}ies"),
            _ if ends(&["s", "x", "z", "ch", "sh"]) => format!("{kind}es"),
            _ => format!("{kind}s"),
        }
    }

    /// The API version without its group.
    pub fn version(&self) -> &str {
        self.api_version.split_once('/').map_or(self.api_version.as_str(), |(_, version)| version)
    }
}

impl fmt::Display for ObjectRef {
    /// `Kind namespace/name`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names of objects in a hostile cluster can contain anything.
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
    /// The namespace; none for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// A label selector, in the syntax of `kubectl get -l`; none for all objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<String>,
    /// A field selector, in the syntax of `kubectl get --field-selector`; none for all objects.
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

    /// Restricts it to a namespace.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Restricts it to a label selector.
    #[must_use]
    pub fn labelled(mut self, labels: &str) -> Self {
        self.labels = Some(labels.to_owned());
        self
    }

    /// Restricts it to a field selector.
    #[must_use]
    pub fn with_fields(mut self, fields: &str) -> Self {
        self.fields = Some(fields.to_owned());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_a_plural() {
        for (kind, plural) in [
            ("Pod", "pods"),
            ("Certificate", "certificates"),
            ("Gateway", "gateways"),
            ("NetworkPolicy", "networkpolicies"),
            ("Ingress", "ingresses"),
            ("IngressClass", "ingressclasses"),
            ("CephCluster", "cephclusters"),
            ("Endpoints", "endpoints"),
            ("Y", "ies"),
        ] {
            assert_eq!(ObjectRef::cluster_scoped("v1", kind, "x").plural(), plural);
        }
    }
}
