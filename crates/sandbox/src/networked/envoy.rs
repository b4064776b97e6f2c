//! There is no Envoy binary here, so its pods are simulated. An agent with listeners admits no pod until Envoy
//! responds, and would wait forever: Envoy is disabled in agents, with Cilium's per-node configuration.

use serde_json::json;

use crate::site::Site;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Complete, Object};

/// Configures all agents of the sandbox. They read it at startup.
pub(super) async fn do_without(site: &Site) -> Result<()> {
    let object: Object = serde_json::from_value(json!({
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNodeConfig",
        "metadata": {"name": "sandbox-without-envoy", "namespace": "kube-system"},
        "spec": {"nodeSelector": {}, "defaults": {"enable-l7-proxy": "false"}},
    }))
    .map_err(|error| {
        Failure::internal("the configuration of the agents is not an object").caused_by(&error)
    })?;
    site.cluster.apply(&Complete::of_own(object), true).await.map(drop)
}
