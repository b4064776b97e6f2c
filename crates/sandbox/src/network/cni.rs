//! Calls the network plugin like a kubelet's container runtime.

use serde_json::Value;

use super::namespace::Namespace;
use super::node::Node;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, ObjectRef};

/// Connects a pod to the network; returns its address.
pub(super) async fn add(node: &Node, pod: &Object, namespace: &Namespace) -> Result<String> {
    let answer = call(node, pod, namespace, "ADD").await?;
    let failed = || Failure::step(format!("the CNI plugin assigned no address to {}", ObjectRef::of(pod)));
    let result: Value = serde_json::from_str(&answer).map_err(|error| failed().caused_by(&error))?;
    let address = result["ips"][0]["address"].as_str().and_then(|address| address.split('/').next());
    address.map(str::to_owned).ok_or_else(failed)
}

/// Disconnects a pod from the network.
pub(super) async fn delete(node: &Node, pod: &Object, namespace: &Namespace) -> Result<()> {
    call(node, pod, namespace, "DEL").await.map(drop)
}

async fn call(node: &Node, pod: &Object, namespace: &Namespace, command: &str) -> Result<String> {
    let list = node
        .plugin()
        .await?
        .ok_or_else(|| Failure::step(format!("node {} has no CNI plugin yet", node.name())))?;
    let (plugin, configuration) = first_plugin(&list)?;
    let id = ObjectRef::of(pod);
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    let variables = [
        ("CNI_COMMAND", command.to_owned()),
        ("CNI_CONTAINERID", uid.clone()),
        ("CNI_NETNS", namespace.network_path()),
        ("CNI_IFNAME", "eth0".to_owned()),
        ("CNI_PATH", "/opt/cni/bin".to_owned()),
        (
            "CNI_ARGS",
            format!(
                "IgnoreUnknown=1;K8S_POD_NAMESPACE={};K8S_POD_NAME={};K8S_POD_INFRA_CONTAINER_ID={uid};K8S_POD_UID={uid}",
                id.namespace.unwrap_or_default(),
                id.name,
            ),
        ),
    ]
    .map(|(name, value)| format!("{name}={value}"));
    let program = format!("/opt/cni/bin/{plugin}");
    let mut words: Vec<&str> = variables.iter().map(String::as_str).collect();
    words.push(&program);
    node.machine.namespace.feed("env", &words, configuration.as_bytes()).await
}

/// The first plugin of a list, and its configuration.
fn first_plugin(list: &str) -> Result<(String, String)> {
    let failed = || Failure::step("cannot read the CNI configuration");
    let list: Value = serde_json::from_str(list).map_err(|error| failed().caused_by(&error))?;
    let mut plugin = list["plugins"][0].clone();
    let name = plugin["type"].as_str().filter(|name| !name.contains('/')).ok_or_else(failed)?.to_owned();
    plugin["name"] = list["name"].clone();
    plugin["cniVersion"] = list["cniVersion"].clone();
    Ok((name, plugin.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    #[test]
    fn a_plugin_is_given_the_name_and_version_of_its_list() {
        let list = json!({"cniVersion": "0.3.1", "name": "cilium", "plugins": [{"type": "cilium-cni", "log-file": "x"}]});
        let (name, given) = first_plugin(&list.to_string()).unwrap();
        assert_eq!(name, "cilium-cni");
        let given: Value = serde_json::from_str(&given).unwrap();
        assert_eq!(
            given,
            json!({"cniVersion": "0.3.1", "name": "cilium", "type": "cilium-cni", "log-file": "x"})
        );
        first_plugin(r#"{"plugins": [{"type": "../sh"}]}"#).unwrap_err();
    }
}
