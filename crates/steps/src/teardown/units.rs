//! A Kustomization and a HelmRelease in a live cluster, as needed for their removal. Pure.

use std::sync::Arc;

use serde_json::Value;

use bootstrapper_core::object::{Object, ObjectRef};

pub(crate) const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io";
pub(super) const HELM: &str = "helm.toolkit.fluxcd.io";

/// A Kustomization in the cluster.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    pub(super) id: ObjectRef,
    pub(super) object: Arc<Object>,
    /// The objects that it has applied.
    pub(super) inventory: Vec<ObjectRef>,
    pub(super) depends_on: Vec<ObjectRef>,
}

impl Unit {
    pub(super) fn of(object: Arc<Object>) -> Self {
        let entries = object.data["status"]["inventory"]["entries"].as_array();
        let inventory = entries.into_iter().flatten().filter_map(entry).collect();
        Self { id: ObjectRef::of(&object), inventory, depends_on: depends_on(&object), object }
    }

    /// Why Flux keeps what this one applied; none if it removes it.
    pub(super) fn leaves_all(&self) -> Option<&'static str> {
        let spec = &self.object.data["spec"];
        match spec["deletionPolicy"].as_str().unwrap_or("MirrorPrune") {
            "MirrorPrune" if spec["prune"] != true => Some("prune: false"),
            "Orphan" => Some("deletionPolicy: Orphan"),
            _ => None,
        }
    }

    /// Whether it applies to another cluster.
    pub(super) fn is_remote(&self) -> bool {
        !self.object.data["spec"]["kubeConfig"].is_null()
    }
}

/// A HelmRelease in the cluster.
#[derive(Debug, Clone)]
pub(super) struct Release {
    pub(super) id: ObjectRef,
    pub(super) object: Arc<Object>,
    pub(super) depends_on: Vec<ObjectRef>,
    /// The release in Helm's storage, if any: its namespace there, and its name.
    pub(super) stored: Option<(String, String)>,
}

impl Release {
    pub(super) fn of(object: Arc<Object>) -> Self {
        let id = ObjectRef::of(&object);
        let status = &object.data["status"];
        let name = status["history"][0]["name"].as_str();
        let namespace = status["storageNamespace"].as_str().or(id.namespace.as_deref());
        let stored = name.zip(namespace).map(|(name, namespace)| (namespace.to_owned(), name.to_owned()));
        Self { depends_on: depends_on(&object), stored, id, object }
    }

    /// The namespace that it installs into.
    pub(super) fn namespace(&self) -> String {
        let spec = &self.object.data["spec"];
        let target = spec["targetNamespace"].as_str().or(self.id.namespace.as_deref());
        target.unwrap_or_default().to_owned()
    }

    pub(super) fn is_suspended(&self) -> bool {
        self.object.data["spec"]["suspend"] == true
    }

    pub(super) fn is_remote(&self) -> bool {
        !self.object.data["spec"]["kubeConfig"].is_null()
    }
}

fn depends_on(object: &Object) -> Vec<ObjectRef> {
    let own = ObjectRef::of(object);
    let entries = object.data["spec"]["dependsOn"].as_array().into_iter().flatten();
    let named = |entry: &Value| {
        let namespace = entry["namespace"].as_str().map(str::to_owned).or_else(|| own.namespace.clone());
        Some(ObjectRef { namespace, name: entry["name"].as_str()?.to_owned(), ..own.clone() })
    };
    entries.filter_map(named).collect()
}

/// Parses an inventory entry, `<namespace>_<name>_<group>_<kind>`; names of RBAC objects may have a colon,
/// which is written as two underscores (`cli-utils/pkg/object.ParseObjMetadata`).
fn entry(entry: &Value) -> Option<ObjectRef> {
    let (namespace, rest) = entry["id"].as_str()?.split_once('_')?;
    let (rest, kind) = rest.rsplit_once('_')?;
    let (name, group) = rest.rsplit_once('_')?;
    let version = entry["v"].as_str()?;
    Some(ObjectRef {
        api_version: if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") },
        kind: kind.to_owned(),
        namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
        name: name.replace("__", ":"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn unit(value: &Value) -> Unit {
        Unit::of(Arc::new(serde_json::from_value(value.clone()).unwrap()))
    }

    #[test]
    fn an_inventory_is_read_as_flux_writes_it() {
        let one = unit(&json!({
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"name": "apps", "namespace": "flux-system"},
            "spec": {"prune": true, "dependsOn": [{"name": "base"}, {"name": "net", "namespace": "kube-system"}]},
            "status": {"inventory": {"entries": [
                {"id": "_system__node_rbac.authorization.k8s.io_ClusterRole", "v": "v1"},
                {"id": "default_settings__ConfigMap", "v": "v1"},
                {"id": "nonsense", "v": "v1"},
            ]}},
        }));
        let told: Vec<String> = one.inventory.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["ClusterRole system:node", "ConfigMap default/settings"]);
        assert_eq!(one.inventory[0].api_version, "rbac.authorization.k8s.io/v1");
        let depends: Vec<String> = one.depends_on.iter().map(ToString::to_string).collect();
        assert_eq!(depends, ["Kustomization flux-system/base", "Kustomization kube-system/net"]);
        assert_eq!(one.leaves_all(), None);
    }

    #[test]
    fn what_flux_leaves_is_known() {
        let of = |spec: Value| unit(&json!({"metadata": {"name": "x"}, "spec": spec})).leaves_all();
        assert_eq!(of(json!({"prune": false})), Some("prune: false"));
        assert_eq!(of(json!({"prune": true, "deletionPolicy": "Orphan"})), Some("deletionPolicy: Orphan"));
        assert_eq!(of(json!({"prune": false, "deletionPolicy": "Delete"})), None);
    }
}
