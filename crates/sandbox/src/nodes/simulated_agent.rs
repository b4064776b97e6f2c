//! A simulated Cilium agent: reports the status of a real one, without forwarding packets.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable as _};
use futures::StreamExt as _;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::agent::NodeAgent;
use crate::kubelet::set_ready;
use bootstrapper_cluster::{Cluster, seen};
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_readiness::cilium::SessionState;

const MANAGER: &str = "cilium-agent";

/// How long it takes to establish a session.
const HANDSHAKE: Duration = Duration::from_millis(800);

/// A simulated Cilium agent.
pub(super) struct SimulatedAgent {
    cluster: Cluster,
}

impl SimulatedAgent {
    pub(super) fn new(cluster: Cluster) -> Self {
        Self { cluster }
    }

    /// Writes the CiliumNode, as an agent does at startup. Its CRD may not exist yet.
    async fn announce(&self, name: &str) -> Result<(), String> {
        let id = ObjectRef::cluster_scoped("v1", "Node", name);
        let node = self.cluster.get(&id).await.map_err(|error| error.to_string())?.ok_or("node not found")?;
        let api = self.api("CiliumNode").await?;
        let addresses = node.data["status"]["addresses"].as_array().cloned().unwrap_or_default();
        let addresses: Vec<Value> = addresses
            .iter()
            .filter(|address| address["type"] == "InternalIP")
            .map(|address| json!({"type": "InternalIP", "ip": address["address"]}))
            .collect();
        let announced = json!({
            "apiVersion": "cilium.io/v2", "kind": "CiliumNode",
            "metadata": {
                "name": name,
                "labels": node.metadata.labels,
                "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": name, "uid": node.metadata.uid}],
            },
            "spec": {"addresses": addresses, "ipam": {"podCIDRs": node.data["spec"]["podCIDRs"]}},
        });
        let parameters = PatchParams::apply(MANAGER).force();
        api.patch(name, &parameters, &Patch::Apply(&announced))
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    }

    async fn api(&self, kind: &str) -> Result<Api<Object>, String> {
        let api = self.cluster.raw_api("cilium.io/v2", kind).await.map_err(|error| error.to_string())?;
        api.ok_or_else(|| format!("{kind} is not served yet"))
    }

    /// Whether an agent runs on a node: it has written its CiliumNode.
    async fn runs_on(&self, node: Option<&str>) -> bool {
        let id = ObjectRef::cluster_scoped("cilium.io/v2", "CiliumNode", node.unwrap_or_default());
        self.cluster.get(&id).await.is_ok_and(|node| node.is_some())
    }

    /// Reports the sessions that the operator has configured.
    async fn peer(&self, config: &Object, state: SessionState) -> Result<(), String> {
        let api = self.api("CiliumBGPNodeConfig").await?;
        let name = config.metadata.name.clone().unwrap_or_default();
        let status = json!({"status": sessions(config, state)});
        api.patch_status(&name, &PatchParams::default(), &Patch::Merge(&status))
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    }
}

fn policy() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(2))
        .with_max_times(100)
}

fn sessions(config: &Object, state: SessionState) -> Value {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let instances = config.data["spec"]["bgpInstances"].as_array().cloned().unwrap_or_default();
    let instance = |instance: &Value| {
        let peers = instance["peers"].as_array().cloned().unwrap_or_default();
        let peer = |peer: &Value| {
            let mut session = json!({
                "name": peer["name"], "peerAddress": peer["peerAddress"], "peerASN": peer["peerASN"], "peeringState": state.as_str(),
            });
            if state.is_up() {
                session["establishedTime"] = now.clone().into();
                session["timers"] = json!({"appliedHoldTimeSeconds": 90, "appliedKeepaliveSeconds": 30});
                session["routeCount"] =
                    json!([{"afi": "ipv4", "safi": "unicast", "received": 1, "advertised": 2}]);
            }
            session
        };
        json!({"name": instance["name"], "localASN": instance["localASN"], "peers": peers.iter().map(peer).collect::<Vec<_>>()})
    };
    json!({"bgpInstances": instances.iter().map(instance).collect::<Vec<_>>()})
}

#[async_trait]
impl NodeAgent for SimulatedAgent {
    async fn started(&self, node: &str) {
        if let Err(error) = (|| set_ready(self.cluster.client(), node, true)).retry(policy()).await {
            tracing::error!(node, %error, "cannot mark the node Ready");
        }
        let cluster = self.cluster.clone();
        let node = node.to_owned();
        tokio::spawn(async move {
            let agent = Self::new(cluster);
            if let Err(error) = (|| agent.announce(&node)).retry(policy()).await {
                tracing::error!(node, error, "cannot write a CiliumNode");
            }
        });
    }

    async fn stopped(&self, node: &str) {
        if let Err(error) = (|| set_ready(self.cluster.client(), node, false)).retry(policy()).await {
            tracing::error!(node, %error, "cannot mark the node NotReady");
        }
    }

    async fn work(&self) {
        let mut configs = seen(self.cluster.follow_all(Selection::of("cilium.io/v2", "CiliumBGPNodeConfig")));
        let mut peered: BTreeSet<(String, i64)> = BTreeSet::new();
        while let Some(configs) = configs.next().await {
            for config in &configs {
                let key = (
                    config.metadata.uid.clone().unwrap_or_default(),
                    config.metadata.generation.unwrap_or_default(),
                );
                if peered.contains(&key) || !self.runs_on(config.metadata.name.as_deref()).await {
                    continue;
                }
                peered.insert(key);
                let (cluster, config) = (self.cluster.clone(), config.clone());
                tokio::spawn(async move {
                    let agent = Self::new(cluster);
                    let _ = (|| agent.peer(&config, SessionState::Active)).retry(policy()).await;
                    tokio::time::sleep(HANDSHAKE).await;
                    let _ = (|| agent.peer(&config, SessionState::Established)).retry(policy()).await;
                });
            }
        }
    }
}
