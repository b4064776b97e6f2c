//! No Envoy is to be had here, and its pods run in name only. An agent that knows of listeners lets
//! no pod through before Envoy has answered, and would wait for ever: so agents do without, told by
//! the means that Cilium has for nodes that differ.

use serde_json::json;

use crate::site::Site;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Complete, Object};

/// Tells all agents of the sandbox. They read it as they start.
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
