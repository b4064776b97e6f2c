//! What a distribution leaves, on a real API server: preflight names each, and stops only for what cannot work.

use bootstrapper::cluster::Cluster;
use bootstrapper::object::{Complete, Object, ObjectRef};
use futures::StreamExt as _;
use predicates::prelude::*;
use predicates::str::contains;
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Value, json};

use super::Sandbox;

/// kube-proxy, Flannel, a kubelet's request for a certificate, a node with few addresses, and another DNS.
pub(super) async fn what_a_distribution_left_is_named(sandbox: &Sandbox, cluster: &Cluster) {
    let left = [daemon_set("kube-proxy"), daemon_set("kube-flannel-ds"), certificate_request(), small_node()];
    for object in &left {
        apply(cluster, object).await;
    }
    for set in &left[..2] {
        let id = ObjectRef::of(&object(set));
        let mut states = cluster.follow(vec![id.clone()]);
        let runs = |set: &Object| set.data["status"]["desiredNumberScheduled"].as_i64() > Some(0);
        while !states.next().await.unwrap().unwrap()[&id].as_deref().is_some_and(runs) {}
    }
    let warned = || {
        contains("DaemonSet kube-system/kube-proxy runs: Cilium replaces it")
            .and(contains("Flannel runs (DaemonSet kube-system/kube-flannel-ds) beside the declared Cilium"))
            .and(contains("node small takes 110 pods, and its pod range 10.42.200.192/26 has 61 addresses"))
            .and(contains("1 certificate request of kubelets pending"))
            .and(contains("kubectl certificate approve csr-left"))
    };
    let plan = || sandbox.run(&["plan", "infra", "--sandbox", "--only", "preflight"]).assert();
    plan().success().stdout(warned());

    let dns = ObjectRef::namespaced("v1", "Service", "kube-system", "kube-dns");
    cluster.delete(&dns).await.unwrap();
    let holder = json!({"apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "legacy-dns", "namespace": "kube-system"},
        "spec": {"clusterIP": "10.43.0.10", "ports": [{"port": 53, "protocol": "UDP"}]}});
    apply(cluster, &holder).await;
    plan().code(4).stderr(
        contains("Service kube-system/legacy-dns has the address 10.43.0.10, which HelmRelease kube-system/coredns declares for Service kube-system/kube-dns")
            .and(contains("kubernetes/bases/coredns/release.yaml:"))
            .and(contains("delete Service kube-system/legacy-dns and its Deployment"))
            .and(warned()),
    );
}

async fn apply(cluster: &Cluster, value: &Value) {
    cluster.apply(&Complete::of_own(object(value)), true).await.unwrap();
}

fn object(value: &Value) -> Object {
    serde_json::from_value(value.clone()).unwrap()
}

fn daemon_set(name: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": name, "namespace": "kube-system"},
    "spec": {"selector": {"matchLabels": {"app": name}}, "template": {
        "metadata": {"labels": {"app": name}},
        "spec": {"tolerations": [{"operator": "Exists"}], "containers": [{"name": name, "image": "x.test/left:1"}]},
    }}})
}

fn certificate_request() -> Value {
    use base64::Engine as _;
    let key = KeyPair::generate().unwrap();
    let request =
        CertificateParams::new(vec!["infra-1".to_owned()]).unwrap().serialize_request(&key).unwrap();
    let request = base64::engine::general_purpose::STANDARD.encode(request.pem().unwrap());
    json!({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": "csr-left"},
        "spec": {"signerName": "kubernetes.io/kubelet-serving", "usages": ["digital signature", "server auth"], "request": request}})
}

fn small_node() -> Value {
    let range = "10.42.200.192/26";
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "small"}, "spec": {"podCIDR": range, "podCIDRs": [range]}})
}
