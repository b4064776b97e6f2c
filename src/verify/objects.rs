//! What the checks make: a namespace, two pods, a Service.

use serde_json::{Value, json};

use crate::object::{Object, ObjectRef};

const NAMESPACE: &str = "bootstrapper-verify";

/// Kubernetes' own test image: a server (`netexec`) and a client (`connect`).
const IMAGE: &str = "registry.k8s.io/e2e-test-images/agnhost:2.53";
const PORT: u16 = 8080;
const LABEL: &str = "bootstrapper-verify";

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

/// What must be ready before anything is checked.
pub(super) fn awaited() -> Vec<ObjectRef> {
    PODS.iter().map(|name| pod(name)).chain([service()]).collect()
}

/// All of them, in the order in which they are made; a pod for each of two nodes.
pub(super) fn all(nodes: &[String]) -> Vec<Object> {
    let labels = json!({"app": LABEL});
    let pods = PODS.iter().zip(nodes).map(|(name, node)| {
        declared(
            &pod(name),
            &labels,
            json!({"spec": {
                "nodeName": node,
                "terminationGracePeriodSeconds": 1,
                "automountServiceAccountToken": false,
                "containers": [{
                    "name": "talk",
                    "image": IMAGE,
                    "command": ["agnhost"],
                    "args": ["netexec", format!("--http-port={PORT}")],
                    "ports": [{"name": "http", "containerPort": PORT}],
                    "readinessProbe": {"httpGet": {"path": "/hostname", "port": "http"}},
                }],
            }}),
        )
    });
    let service = declared(
        &service(),
        &labels,
        json!({"spec": {
            "type": "LoadBalancer",
            "selector": labels,
            "ports": [{"name": "http", "port": 80, "targetPort": PORT, "protocol": "TCP"}],
        }}),
    );
    let namespace = declared(&namespace(), &labels, json!({}));
    [namespace].into_iter().chain(pods).chain([service]).collect()
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
        let made = all(&["a".to_owned(), "b".to_owned()]);
        let nodes: Vec<&str> =
            made.iter().filter_map(|object| object.data["spec"]["nodeName"].as_str()).collect();
        assert_eq!(nodes, ["a", "b"]);
        assert_eq!(ObjectRef::of(&made[0]), namespace());
        assert!(made[1..].iter().all(|object| object.metadata.namespace.as_deref() == Some(NAMESPACE)));
    }
}
