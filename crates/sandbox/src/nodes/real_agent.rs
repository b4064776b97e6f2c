//! Real agents report their own status. The simulated kubelet only reports that the network plugin has written
//! its configuration.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable as _};

use super::agent::NodeAgent;
use crate::kubelet::set_ready;
use crate::network::Network;
use bootstrapper_core::failure::{Failure, Result};

/// The agents of a real network.
pub(super) struct RealAgent {
    client: kube::Client,
    network: Arc<Network>,
}

impl RealAgent {
    pub(super) fn new(client: kube::Client, network: Arc<Network>) -> Self {
        Self { client, network }
    }

    async fn welcome(&self, name: &str) -> Result<()> {
        let not_yet = || Failure::step(format!("node {name} has no CNI plugin yet"));
        let node = self.network.node(name).ok_or_else(not_yet)?;
        node.plugin().await?.ok_or_else(not_yet)?;
        set_ready(self.client.clone(), name, true).await.map_err(|error| not_yet().caused_by(&error))
    }
}

#[async_trait]
impl NodeAgent for RealAgent {
    async fn started(&self, node: &str) {
        let policy = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(1))
            .with_max_times(60);
        if let Err(failure) = (|| self.welcome(node)).retry(policy).await {
            tracing::error!(node, %failure, "cannot mark the node Ready");
        }
    }

    /// A kubelet checks the plugin's configuration, which outlives the agent, like the datapath.
    async fn stopped(&self, node: &str) {
        tracing::info!(node, "cannot find the agent");
    }

    async fn work(&self) {
        self.network.keep_router().await;
    }
}
