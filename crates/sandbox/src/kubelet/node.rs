//! Nodes, as a kubelet registers them on a machine without a network plugin.

use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;

use crate::site::Site;
use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_gitops::Distribution;

fn failed(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::step("cannot create the sandbox's nodes").caused_by(error)
}

/// Registers the nodes as not ready. Their logs are served at `log_port` on loopback.
pub(crate) async fn create(site: &Site, log_port: u16) -> Result<()> {
    let nodes: Api<Object> = site
        .cluster
        .raw_api("v1", "Node")
        .await?
        .ok_or_else(|| Failure::internal("an API server serves nodes"))?;
    let (image, version, annotations) = marks(site.options.distribution);
    for (name, address) in site.options.nodes()? {
        let node: Object = serde_json::from_value(json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": {
                "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
                POWER: "on",
            }, "annotations": annotations},
            "status": {
                "addresses": [
                    {"type": "InternalIP", "address": address.to_string()},
                    {"type": "Hostname", "address": name},
                    // Where the API server finds the simulated kubelet.
                    {"type": "InternalDNS", "address": "localhost"},
                ],
                // The simulated kubelet supports WebSockets, and not SPDY.
                "declaredFeatures": ["ExtendWebSocketsToKubelet"],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": log_port}},
                "allocatable": {"cpu": "32", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "250"},
                "capacity": {"cpu": "32", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "250"},
                "nodeInfo": {
                    "architecture": "amd64", "operatingSystem": "linux", "kubeletVersion": version,
                    "containerRuntimeVersion": "sandbox://1", "osImage": image, "kernelVersion": "6.18.0",
                    "bootID": "", "machineID": "", "systemUUID": "", "kubeProxyVersion": "",
                },
                "conditions": [ready_condition(false)],
            },
        }))
        .map_err(|error| failed(&error))?;
        nodes.create(&PostParams::default(), &node).await.map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// What nodes of a distribution report: the image of their system, the kubelet's version, and annotations.
fn marks(distribution: Option<Distribution>) -> (&'static str, &'static str, serde_json::Value) {
    const IMAGE: &str = "sandbox";
    const VERSION: &str = "v1.36.3";
    match distribution {
        None => (IMAGE, VERSION, json!({})),
        Some(Distribution::Talos) => ("Talos (sandbox)", VERSION, json!({})),
        Some(Distribution::Kubeadm) => {
            let socket = "unix:///run/containerd/containerd.sock";
            (IMAGE, VERSION, json!({"kubeadm.alpha.kubernetes.io/cri-socket": socket}))
        }
        Some(Distribution::K3s) => (IMAGE, "v1.36.3+k3s1", json!({})),
    }
}

/// The label of running nodes: kwok sends their heartbeats.
const POWER: &str = "sandbox.bootstrapper/power";

/// The selector for kwok.
pub(crate) const ON: &str = "sandbox.bootstrapper/power=on";

/// Whether a node sends no heartbeats.
pub(super) fn is_off(node: &Object) -> bool {
    node.metadata.labels.as_ref().and_then(|labels| labels.get(POWER)).is_some_and(|power| power != "on")
}

/// Starts or stops a node's heartbeats. A starting kubelet reports its node as ready.
pub(crate) async fn set_power(cluster: &Cluster, name: &str, on: bool) -> Result<()> {
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::step(format!("cannot switch node {name} on or off")).caused_by(error)
    };
    let node = cluster.get(&ObjectRef::cluster_scoped("v1", "Node", name)).await?;
    if on != node.as_ref().is_some_and(is_off) {
        return Ok(());
    }
    let nodes: Api<Node> = Api::all(cluster.client());
    let patch = json!({"metadata": {"labels": {POWER: if on { "on" } else { "off" }}}});
    nodes.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.map_err(|error| failed(&error))?;
    if on {
        set_ready(cluster.client(), name, true).await.map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Reports a node as ready or not ready.
pub(crate) async fn set_ready(client: kube::Client, name: &str, ready: bool) -> kube::Result<()> {
    let patch = json!({"status": {"conditions": [ready_condition(ready)]}});
    let nodes: Api<Node> = Api::all(client);
    nodes.patch_status(name, &PatchParams::default(), &Patch::Strategic(patch)).await.map(drop)
}

fn ready_condition(ready: bool) -> serde_json::Value {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let (status, reason, message) = if ready {
        ("True", "KubeletReady", "the sandbox's agent runs")
    } else {
        ("False", "KubeletNotReady", "container runtime network not ready: cni plugin not initialized")
    };
    json!({"type": "Ready", "status": status, "reason": reason, "message": message,
        "lastHeartbeatTime": now, "lastTransitionTime": now})
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn nodes_report_what_a_preflight_check_looks_for() {
        for distribution in
            [None, Some(Distribution::Talos), Some(Distribution::Kubeadm), Some(Distribution::K3s)]
        {
            let (image, version, annotations) = marks(distribution);
            let node = json!({
                "apiVersion": "v1", "kind": "Node", "metadata": {"name": "a", "annotations": annotations},
                "status": {"nodeInfo": {"osImage": image, "kubeletVersion": version}},
            });
            assert_eq!(Distribution::of_node(&serde_json::from_value(node).unwrap()), distribution);
        }
    }
}
