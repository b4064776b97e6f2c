//! The root Kustomization of a cluster and its source, among whatever objects declare them: as
//! `flux bootstrap` writes them, or as the Flux operator makes them of a FluxInstance.

use std::path::Path;

use serde_json::{Value, json};

use super::recipe::path_of;
use bootstrapper_core::object::Object;

/// The default namespace of a FluxInstance.
const FLUX_SYSTEM: &str = "flux-system";

/// The source and the root Kustomization of a cluster.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Root {
    pub(super) source: Object,
    pub(super) sync: Object,
}

/// The root Kustomization among `objects` that builds `folder`, or else the likeliest one.
pub(super) fn pick(objects: &[Value], folder: &Path) -> Option<Root> {
    let mut roots = roots(objects);
    let wanted = roots.iter().position(|root| path_of(&root.sync) == folder).unwrap_or_default();
    (!roots.is_empty()).then(|| roots.swap_remove(wanted))
}

/// All candidates for root Kustomizations: those with their source next to them, the ones with
/// its name first (as `flux bootstrap` writes them), and those of FluxInstances.
pub(super) fn roots(objects: &[Value]) -> Vec<Root> {
    let is = |object: &&Value, group: &str| {
        object["apiVersion"].as_str().is_some_and(|version| version.starts_with(group))
    };
    let kustomizations = objects
        .iter()
        .filter(|object| object["kind"] == "Kustomization" && is(object, "kustomize.toolkit.fluxcd.io/"));
    let mut roots: Vec<Root> = kustomizations
        .filter_map(|sync| {
            let reference = &sync["spec"]["sourceRef"];
            let source = objects.iter().find(|object| {
                is(object, "source.toolkit.fluxcd.io/")
                    && object["kind"] == reference["kind"]
                    && object["metadata"]["name"] == reference["name"]
            })?;
            Some(Root {
                source: serde_json::from_value(source.clone()).ok()?,
                sync: serde_json::from_value(sync.clone()).ok()?,
            })
        })
        .collect();
    roots.sort_by_key(|root| root.sync.metadata.name != root.source.metadata.name);
    roots.extend(objects.iter().filter_map(of_instance));
    roots
}

/// What the Flux operator makes of a FluxInstance, of the values of its chart, or of a HelmRelease
/// with such values.
pub(super) fn of_instance(object: &Value) -> Option<Root> {
    let (sync, namespace) = match object["kind"].as_str() {
        Some("FluxInstance") => (&object["spec"]["sync"], &object["metadata"]["namespace"]),
        Some("HelmRelease") => {
            (&object["spec"]["values"]["instance"]["sync"], &object["metadata"]["namespace"])
        }
        None => (&object["instance"]["sync"], &Value::Null),
        Some(_) => return None,
    };
    let (path, url) = (sync["path"].as_str()?, sync["url"].as_str()?);
    if path.contains("${") {
        return None;
    }
    let namespace = namespace.as_str().unwrap_or(FLUX_SYSTEM);
    let name = sync["name"].as_str().unwrap_or(namespace);
    let kind = sync["kind"].as_str().unwrap_or("GitRepository");
    let mut source = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"interval": sync["interval"].as_str().unwrap_or("1m"), "url": url},
    });
    match kind {
        "OCIRepository" => source["spec"]["ref"] = json!({"tag": sync["ref"]}),
        "Bucket" => source["spec"]["bucketName"] = sync["ref"].clone(),
        _ => source["spec"]["ref"] = json!({"name": sync["ref"]}),
    }
    if let Some(secret) = sync["pullSecret"].as_str() {
        source["spec"]["secretRef"] = json!({"name": secret});
    }
    let sync = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"interval": "10m", "path": path, "prune": true, "sourceRef": {"kind": kind, "name": name}},
    });
    Some(Root { source: serde_json::from_value(source).ok()?, sync: serde_json::from_value(sync).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flux_instance_makes_a_source_and_a_kustomization() {
        let instance = json!({"kind": "FluxInstance", "metadata": {"name": "flux", "namespace": "flux-system"}, "spec": {"sync": {
            "kind": "OCIRepository", "url": "oci://x.test/r", "ref": "latest", "path": "./", "pullSecret": "pull"}}});
        let root = pick(&[instance], Path::new("")).unwrap();
        assert_eq!(root.source.data["spec"]["ref"], json!({"tag": "latest"}));
        assert_eq!(root.source.data["spec"]["secretRef"]["name"], "pull");
        assert_eq!(
            root.sync.data["spec"]["sourceRef"],
            json!({"kind": "OCIRepository", "name": "flux-system"})
        );
    }
}
