//! Finds the root Kustomization of a cluster and its source among objects: as written by `flux bootstrap`, or
//! as the Flux operator creates them from a FluxInstance.

use std::path::Path;

use serde_json::Value;

use super::documents::normal;
use super::instance;
use super::recipe::path_of;
use super::root::{FLUX_SYSTEM, Rank, Root};

/// The root Kustomization among `objects` that builds `folder`, otherwise the most probable one.
pub(super) fn pick(objects: &[Value], folder: &Path) -> Option<Root> {
    let mut roots = roots(objects);
    let wanted = roots.iter().position(|root| path_of(&root.sync) == folder);
    let wanted = wanted.or_else(|| roots.iter().position(|root| folder.ends_with(path_of(&root.sync))));
    (!roots.is_empty()).then(|| roots.swap_remove(wanted.unwrap_or_default()))
}

/// All possible root Kustomizations, most probable first: those of FluxInstances, and those with their source
/// next to them.
pub(super) fn roots(objects: &[Value]) -> Vec<Root> {
    let kustomizations = objects
        .iter()
        .filter(|one| one["kind"] == "Kustomization" && is(one, "kustomize.toolkit.fluxcd.io/"));
    let mut roots: Vec<Root> = kustomizations
        .filter_map(|sync| {
            let source = objects.iter().find(|source| is_source_of(source, sync))?;
            Some(Root {
                rank: rank(source, sync),
                source: serde_json::from_value(source.clone()).ok()?,
                sync: serde_json::from_value(sync.clone()).ok()?,
                instance: None,
            })
        })
        .collect();
    roots.extend(objects.iter().filter_map(instance::root_of));
    roots.sort_by_key(|root| std::cmp::Reverse(root.rank));
    roots
}

fn is(object: &Value, group: &str) -> bool {
    object["apiVersion"].as_str().is_some_and(|version| version.starts_with(group))
}

fn is_source_of(source: &Value, sync: &Value) -> bool {
    let reference = &sync["spec"]["sourceRef"];
    let namespace = |own: &Value| own["metadata"]["namespace"].as_str().map(str::to_owned);
    let wanted = reference["namespace"].as_str().map(str::to_owned).or_else(|| namespace(sync));
    is(source, "source.toolkit.fluxcd.io/")
        && source["kind"] == reference["kind"]
        && source["metadata"]["name"] == reference["name"]
        && (wanted.is_none() || namespace(source).is_none() || namespace(source) == wanted)
}

fn rank(source: &Value, sync: &Value) -> Rank {
    let (own, other) = (&sync["metadata"]["name"], &source["metadata"]["name"]);
    let path = sync["spec"]["path"].as_str().unwrap_or_default();
    if own != other {
        Rank::Pair
    } else if own == FLUX_SYSTEM {
        Rank::Bootstrap
    } else if normal(Path::new(path.trim_start_matches('/'))).as_os_str().is_empty() {
        Rank::Pair
    } else {
        Rank::Named
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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

    fn pair(name: &str, source: &str, path: Option<&str>) -> [Value; 2] {
        [
            json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": {"name": source, "namespace": "n"}, "spec": {}}),
            json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": {"name": name, "namespace": "n"}, "spec": {"path": path, "sourceRef": {"kind": "GitRepository", "name": source}}}),
        ]
    }

    #[test]
    fn pairs_are_ranked() {
        for (name, source, path, expected) in [
            ("flux-system", "flux-system", Some("./"), Rank::Bootstrap),
            ("home", "home", Some("./deploy"), Rank::Named),
            ("vendor", "vendor", None, Rank::Pair),
            ("vendor", "vendor", Some("./"), Rank::Pair),
            ("vendor-crds", "vendor", Some("./crds"), Rank::Pair),
        ] {
            assert_eq!(roots(&pair(name, source, path))[0].rank, expected, "{name} {source} {path:?}");
        }
        let [source, mut sync] = pair("a", "a", Some("b"));
        sync["spec"]["sourceRef"]["namespace"] = "elsewhere".into();
        assert!(roots(&[source, sync]).is_empty());
    }

    #[test]
    fn the_folder_of_an_artifact_is_what_comes_before_the_path() {
        let instance = |kind: &str, path: &str| {
            let instance = json!({"kind": "FluxInstance", "spec": {"sync": {"kind": kind, "url": "oci://x.test/r", "ref": "latest", "path": path}}});
            pick(&[instance], Path::new("")).unwrap()
        };
        let folder = Path::new("kubernetes/clusters/c0");
        assert_eq!(instance("OCIRepository", "./clusters/c0").base(folder), Path::new("kubernetes"));
        assert_eq!(instance("Bucket", "./").base(folder), folder);
        assert_eq!(instance("GitRepository", "clusters/c0").base(folder), Path::new(""));
        assert_eq!(instance("OCIRepository", "apps").base(folder), Path::new(""));
    }
}
