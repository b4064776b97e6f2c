//! Prepares a container from its declaration like a kubelet: its environment, and the data that it references.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::site::Site;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, ObjectRef};

/// The name of a pod's first image, without registry and tag.
pub(crate) fn image_of(pod: &Object) -> Option<&str> {
    let image = pod.data["spec"]["containers"][0]["image"].as_str()?;
    image.rsplit('/').next()?.split([':', '@']).next()
}

/// A token of the pod's own account: RBAC is real.
pub(crate) async fn token(site: &Site, namespace: &str, account: &str) -> Result<String> {
    use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
    use k8s_openapi::api::core::v1::ServiceAccount;
    let accounts: kube::Api<ServiceAccount> = kube::Api::namespaced(site.cluster.client(), namespace);
    let request = TokenRequest {
        spec: TokenRequestSpec { expiration_seconds: Some(7 * 24 * 3600), ..TokenRequestSpec::default() },
        ..TokenRequest::default()
    };
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::step(format!("cannot create a token for ServiceAccount {namespace}/{account}"))
            .caused_by(error)
    };
    let answer = accounts.create_token_request(account, &kube::api::PostParams::default(), &request).await;
    let answer = answer.map_err(|error| failed(&error))?;
    answer.status.map(|status| status.token).ok_or_else(|| {
        Failure::step(format!("cannot create a token for ServiceAccount {namespace}/{account}"))
    })
}

/// The data of a ConfigMap or Secret; none if not found.
pub(crate) async fn data(
    site: &Site,
    kind: &str,
    namespace: &str,
    name: &str,
) -> Result<Option<BTreeMap<String, Vec<u8>>>> {
    use base64::Engine as _;
    let Some(object) = site.cluster.get(&ObjectRef::namespaced("v1", kind, namespace, name)).await? else {
        return Ok(None);
    };
    let entries = object.data["data"].as_object().cloned().unwrap_or_default();
    let decode = |text: &str| match kind {
        "Secret" => base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default(),
        _ => text.as_bytes().to_vec(),
    };
    let decoded =
        entries.iter().map(|(key, value)| (key.clone(), decode(value.as_str().unwrap_or_default())));
    Ok(Some(decoded.collect()))
}

pub(crate) async fn environment_of(
    site: &Site,
    pod: &Object,
    container: &Value,
    namespace: &str,
) -> Result<BTreeMap<String, String>> {
    let mut environment = BTreeMap::new();
    for entry in container["env"].as_array().into_iter().flatten() {
        let Some(name) = entry["name"].as_str() else { continue };
        let from = &entry["valueFrom"];
        let value = if let Some(value) = entry["value"].as_str() {
            expanded(value, &environment)
        } else if let Some(field) = from["fieldRef"]["fieldPath"].as_str() {
            field_of(pod, field)
        } else {
            let (kind, reference) = match (&from["configMapKeyRef"], &from["secretKeyRef"]) {
                (map, _) if map.is_object() => ("ConfigMap", map),
                (_, secret) => ("Secret", secret),
            };
            let Some(of) = reference["name"].as_str() else { continue };
            let key = reference["key"].as_str().unwrap_or_default();
            let Some(mut data) = data(site, kind, namespace, of).await? else { continue };
            let Some(value) = data.remove(key) else { continue };
            String::from_utf8_lossy(&value).into_owned()
        };
        environment.insert(name.to_owned(), value);
    }
    Ok(environment)
}

fn field_of(pod: &Object, path: &str) -> String {
    let value = match path {
        "metadata.name" => pod.metadata.name.as_deref(),
        "metadata.namespace" => pod.metadata.namespace.as_deref(),
        "spec.nodeName" => pod.data["spec"]["nodeName"].as_str(),
        "spec.serviceAccountName" => pod.data["spec"]["serviceAccountName"].as_str(),
        "status.podIP" => pod.data["status"]["podIP"].as_str(),
        _ => None,
    };
    value.unwrap_or_default().to_owned()
}

/// Expands `$(NAME)` like Kubernetes.
pub(crate) fn expanded(word: &str, environment: &BTreeMap<String, String>) -> String {
    environment.iter().fold(word.to_owned(), |word, (name, value)| word.replace(&format!("$({name})"), value))
}
