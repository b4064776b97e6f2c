//! The requirements of a container's start, and a kubelet's messages for missing ones (Kubernetes
//! `pkg/kubelet`, containerd `core/remotes`).

use serde_json::Value;

use super::reporter::list;
use crate::kubelet::data;
use crate::site::Site;
use bootstrapper_core::object::Object;

/// The result of an image pull.
pub(super) enum Pull {
    Done,
    /// It does not finish.
    GoesOn,
    Failed(String),
}

/// By the image's name: registries that end in `.invalid` have no address (RFC 2606), the tag `absent` is not
/// found, `private` is denied, and `slow` takes long.
pub(super) fn pull(image: &str) -> Pull {
    let (name, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
    let (host, path) = name.split_once('/').unwrap_or(("docker.io", name));
    let failed = |why: String| {
        Pull::Failed(format!(
            "failed to pull and unpack image \"{image}\": failed to resolve reference \"{image}\": {why}"
        ))
    };
    match tag {
        _ if host.ends_with(".invalid") => {
            let url = format!("https://{host}/v2/{path}/manifests/{tag}");
            failed(format!("failed to do request: Head \"{url}\": dial tcp: lookup {host}: no such host"))
        }
        "absent" => failed(format!("{image}: not found")),
        "private" => failed(format!(
            "failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://{host}/token?scope=repository%3A{path}%3Apull&service={host}: 403 Forbidden"
        )),
        "slow" => Pull::GoesOn,
        _ => Pull::Done,
    }
}

/// The first volume that cannot be mounted, and why.
pub(super) async fn missing_volume(site: &Site, pod: &Object) -> Option<String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    for volume in list(pod, "volumes") {
        let secret = (&volume["secret"], "Secret", "secretName");
        let map = (&volume["configMap"], "ConfigMap", "name");
        for (source, kind, key) in [secret, map] {
            let Some(of) = source[key].as_str().filter(|_| source["optional"] != true) else { continue };
            let failed = |why: String| {
                let volume = volume["name"].as_str().unwrap_or_default();
                Some(format!("MountVolume.SetUp failed for volume \"{volume}\" : {why}"))
            };
            match data(site, kind, namespace, of).await {
                Ok(Some(held)) => {
                    let items = source["items"].as_array().into_iter().flatten();
                    let mut keys = items.filter_map(|item| item["key"].as_str());
                    if let Some(key) = keys.find(|key| !held.contains_key(*key)) {
                        let kind = if kind == "Secret" { "secret" } else { "config" };
                        return failed(format!("references non-existent {kind} key: {key}"));
                    }
                }
                Ok(None) => return failed(format!("{} \"{of}\" not found", kind.to_lowercase())),
                Err(failure) => return failed(failure.to_string()),
            }
        }
    }
    None
}

/// The first reference in an environment that is not found.
pub(super) async fn missing_setting(site: &Site, container: &Value, namespace: &str) -> Option<String> {
    let entries = container["env"].as_array().into_iter().flatten();
    let single = entries.flat_map(|entry| {
        let from = &entry["valueFrom"];
        [(&from["secretKeyRef"], "Secret"), (&from["configMapKeyRef"], "ConfigMap")]
    });
    let whole = container["envFrom"].as_array().into_iter().flatten();
    let whole =
        whole.flat_map(|entry| [(&entry["secretRef"], "Secret"), (&entry["configMapRef"], "ConfigMap")]);
    for (reference, kind) in single.chain(whole) {
        let Some(of) = reference["name"].as_str().filter(|_| reference["optional"] != true) else { continue };
        let held = match data(site, kind, namespace, of).await {
            Ok(Some(held)) => held,
            Ok(None) => return Some(format!("{} \"{of}\" not found", kind.to_lowercase())),
            Err(failure) => return Some(failure.to_string()),
        };
        if let Some(key) = reference["key"].as_str().filter(|key| !held.contains_key(*key)) {
            return Some(format!("couldn't find key {key} in {kind} {namespace}/{of}"));
        }
    }
    None
}
