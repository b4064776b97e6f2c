//! The objects of the checks: a namespace, two pods, a Service.

use serde_json::{Value, json};

use bootstrapper_core::object::{Object, ObjectRef};

const NAMESPACE: &str = "bootstrapper-verify";

/// Kubernetes' test image: a server that can also act as a client (`netexec`), and `wget`.
const IMAGE: &str = "registry.k8s.io/e2e-test-images/agnhost:2.53";
const PORT: u16 = 8080;
/// The port where it echoes packets.
pub(super) const DATAGRAM_PORT: u16 = 8081;
const LABEL: &str = "bootstrapper-verify";
/// The cluster of a pod: a Service that exists in all clusters selects pods in only one of them.
const CLUSTER: &str = "bootstrapper-verify/cluster";

/// The pods' container.
pub(super) const CONTAINER: &str = "talk";

/// The pods' names.
pub(super) const PODS: [&str; 2] = ["here", "there"];

/// The port that the pods listen on.
pub(super) fn pod_port() -> u16 {
    PORT
}

pub(super) fn namespace() -> ObjectRef {
    ObjectRef::cluster_scoped("v1", "Namespace", NAMESPACE)
}

pub(super) fn pod(name: &str) -> ObjectRef {
    ObjectRef::namespaced("v1", "Pod", NAMESPACE, name)
}

pub(super) fn service() -> ObjectRef {
    ObjectRef::namespaced("v1", "Service", NAMESPACE, "talk")
}

/// The Service that exists in every cluster of a mesh, with pods in only one.
pub(super) fn service_of(cluster: &str) -> ObjectRef {
    ObjectRef::namespaced("v1", "Service", NAMESPACE, &format!("of-{cluster}"))
}

/// What must be ready before the checks.
pub(super) fn awaited() -> Vec<ObjectRef> {
    PODS.iter().map(|name| pod(name)).chain([service()]).collect()
}

/// All objects, in order of creation: a pod for each of two nodes of a cluster, its Service, and those of the
/// clusters that are verified with it.
pub(super) fn all(cluster: &str, nodes: &[String], clusters: &[String]) -> Vec<Object> {
    let labels = json!({"app": LABEL});
    let pods = PODS.iter().zip(nodes).map(|(name, node)| {
        declared(
            &pod(name),
            &json!({"app": LABEL, CLUSTER: cluster}),
            json!({"spec": {
                "nodeName": node,
                "terminationGracePeriodSeconds": 1,
                "automountServiceAccountToken": false,
                "containers": [{
                    "name": CONTAINER,
                    "image": IMAGE,
                    "command": ["agnhost"],
                    "args": ["netexec", format!("--http-port={PORT}"), format!("--udp-port={DATAGRAM_PORT}")],
                    "ports": [{"name": "http", "containerPort": PORT}],
                    "readinessProbe": {"httpGet": {"path": "/echo?msg=", "port": "http"}},
                }],
            }}),
        )
    });
    let ports = json!([{"name": "http", "port": 80, "targetPort": PORT, "protocol": "TCP"}]);
    let service = declared(
        &service(),
        &labels,
        json!({"spec": {"type": "LoadBalancer", "selector": labels, "ports": ports}}),
    );
    let global = |name: &String| {
        let selector = json!({"app": LABEL, CLUSTER: name});
        let mut service =
            declared(&service_of(name), &labels, json!({"spec": {"selector": selector, "ports": ports}}));
        service.metadata.annotations =
            Some([("service.cilium.io/global".to_owned(), "true".to_owned())].into());
        service
    };
    let of_clusters = clusters.iter().filter(|_| clusters.len() > 1).map(global);
    let mut namespace = declared(&namespace(), &labels, json!({}));
    namespace.metadata.annotations =
        Some([("clustermesh.cilium.io/global".to_owned(), "true".to_owned())].into());
    [namespace].into_iter().chain(pods).chain([service]).chain(of_clusters).collect()
}

fn declared(id: &ObjectRef, labels: &Value, data: Value) -> Object {
    let mut object = Object {
        types: Some(kube::core::TypeMeta { api_version: id.api_version.clone(), kind: id.kind.clone() }),
        metadata: kube::core::ObjectMeta {
            name: Some(id.name.clone()),
            namespace: id.namespace.clone(),
            ..kube::core::ObjectMeta::default()
        },
        data,
    };
    object.metadata.labels = serde_json::from_value(labels.clone()).ok();
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_node_has_a_pod_and_all_lie_in_one_namespace() {
        let made = all("infra", &["a".to_owned(), "b".to_owned()], &["infra".to_owned()]);
        let nodes: Vec<&str> =
            made.iter().filter_map(|object| object.data["spec"]["nodeName"].as_str()).collect();
        assert_eq!(nodes, ["a", "b"]);
        assert_eq!(ObjectRef::of(&made[0]), namespace());
        assert!(made[1..].iter().all(|object| object.metadata.namespace.as_deref() == Some(NAMESPACE)));
    }

    #[test]
    fn of_the_service_of_another_cluster_this_one_has_no_pods() {
        let made = all("infra", &["a".to_owned(), "b".to_owned()], &["infra".to_owned(), "apps".to_owned()]);
        let find = |id: &ObjectRef| made.iter().find(|object| ObjectRef::of(object) == *id).unwrap();
        let labels = find(&pod("here")).metadata.labels.as_ref().unwrap();
        let selects = |service: &ObjectRef| {
            let selector = find(service).data["spec"]["selector"].as_object().unwrap();
            selector.iter().all(|(key, value)| labels.get(key).map(String::as_str) == value.as_str())
        };
        assert!(selects(&service()) && selects(&service_of("infra")) && !selects(&service_of("apps")));
    }
}
