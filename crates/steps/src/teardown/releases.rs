//! What is removed with a Helm release, and what Helm keeps.

use bootstrapper_cluster::{Cluster, StoredRelease};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Object, ObjectRef, is_crd};

/// The objects that are removed with a release, without CRDs and those that the chart keeps.
pub async fn objects(cluster: &Cluster, stored: &StoredRelease, namespace: &str) -> Result<Vec<ObjectRef>> {
    let mut objects = Vec::new();
    for object in stored.objects.iter().filter(|object| !is_kept(object) && !is_crd(object)) {
        objects.push(ObjectRef::of(&cluster.located(object.clone(), namespace).await?));
    }
    Ok(objects)
}

/// Whether Helm keeps an object because of the chart's annotation.
fn is_kept(object: &Object) -> bool {
    let annotations = object.metadata.annotations.as_ref();
    annotations.and_then(|all| all.get("helm.sh/resource-policy")).is_some_and(|policy| policy == "keep")
}

/// The Secrets that the pods of a release mount. Those in no manifest are created by the release's programs at
/// run time (Cilium's certificates), and have no labels.
pub fn mounted(stored: &StoredRelease, namespace: &str) -> Vec<ObjectRef> {
    let mut mounted = Vec::new();
    for object in &stored.objects {
        let spec = &object.data["spec"]["template"]["spec"];
        let namespace = object.metadata.namespace.as_deref().unwrap_or(namespace);
        for volume in spec["volumes"].as_array().into_iter().flatten() {
            let sources = volume["projected"]["sources"].as_array().into_iter().flatten();
            let projected = sources.filter_map(|source| source["secret"]["name"].as_str());
            let names = volume["secret"]["secretName"].as_str().into_iter().chain(projected);
            mounted.extend(names.map(|name| ObjectRef::namespaced("v1", "Secret", namespace, name)));
        }
    }
    mounted
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use bootstrapper_cluster::{ApplyMethod, ReleaseState};

    #[test]
    fn secrets_that_pods_mount_are_found() {
        let workload = json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "agent"}, "spec": {"template": {"spec": {
        "volumes": [
            {"name": "a", "secret": {"secretName": "certs"}},
            {"name": "b", "projected": {"sources": [{"secret": {"name": "mesh"}}, {"configMap": {"name": "x"}}]}},
        ]}}}});
        let stored = StoredRelease {
            revision: 1,
            state: ReleaseState::Deployed,
            chart_name: "cilium".to_owned(),
            chart_version: "1".to_owned(),
            values: json!({}),
            apply_method: ApplyMethod::ServerSide,
            begun: None,
            labels: BTreeMap::new(),
            secret: ObjectRef::namespaced("v1", "Secret", "kube-system", "x"),
            objects: vec![serde_json::from_value(workload).unwrap()],
        };
        let told: Vec<String> = mounted(&stored, "kube-system").iter().map(ToString::to_string).collect();
        assert_eq!(told, ["Secret kube-system/certs", "Secret kube-system/mesh"]);
    }
}
