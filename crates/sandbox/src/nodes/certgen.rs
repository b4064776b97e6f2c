//! Simulates Cilium's certgen, which is unavailable as a Go module: creates the requested certificates, signed
//! by the cluster's Cilium CA; and the CA, if there is none.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams};
use rcgen::{Issuer, KeyPair};
use serde::Deserialize;
use serde_json::{Value, json};

use super::issuing;
use crate::kubelet::image_of;
use bootstrapper_cluster::{Cluster, seen};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, ObjectRef, Selection};
use bootstrapper_core::yaml;

const MANAGER: &str = "certgen";
const NAMESPACE: &str = "kube-system";
const AUTHORITY: &str = "cilium-ca";

/// The arguments of its pod.
#[derive(Deserialize)]
struct CertgenConfig {
    certs: Vec<Wanted>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    name: String,
    namespace: String,
    common_name: String,
    /// Defaults to the common name.
    #[serde(default)]
    hosts: Vec<String>,
}

/// Runs while the sandbox runs.
pub(super) async fn run(cluster: &Cluster) {
    let mut pods = seen(cluster.follow_all(Selection::of("v1", "Pod")));
    let mut done = BTreeSet::new();
    while let Some(seen) = pods.next().await {
        for pod in seen.iter().filter(|pod| image_of(pod) == Some("certgen")) {
            if done.contains(&pod.metadata.uid) {
                continue;
            }
            match (|| make(cluster, pod)).retry(policy()).await {
                Ok(()) => drop(done.insert(pod.metadata.uid.clone())),
                Err(failure) => tracing::error!(%failure, "cannot create certificates"),
            }
        }
    }
}

fn policy() -> ExponentialBuilder {
    ExponentialBuilder::default().with_min_delay(Duration::from_millis(100)).with_max_times(8)
}

async fn make(cluster: &Cluster, pod: &Object) -> Result<()> {
    let config = config_of(pod)?;
    let (authority, issuer) = authority(cluster, may_make_one(pod)).await?;
    for wanted in &config.certs {
        let issued = wanted.certificate().signed_by(&issuer).map_err(|error| failed(&error))?;
        let data = json!({
            "ca.crt": STANDARD.encode(&authority),
            "tls.crt": STANDARD.encode(issued.certificate),
            "tls.key": STANDARD.encode(issued.key),
        });
        store(cluster, &wanted.namespace, &wanted.name, "kubernetes.io/tls", &data).await?;
    }
    Ok(())
}

fn config_of(pod: &Object) -> Result<CertgenConfig> {
    let variables = pod.data["spec"]["containers"][0]["env"].as_array().into_iter().flatten();
    let text = variables
        .filter(|variable| variable["name"] == "CILIUM_CERTGEN_CONFIG")
        .find_map(|variable| variable["value"].as_str())
        .ok_or_else(|| Failure::step(format!("{} is configured to create nothing", ObjectRef::of(pod))))?;
    yaml::from_str(text, Path::new("CILIUM_CERTGEN_CONFIG"))
}

fn may_make_one(pod: &Object) -> bool {
    let mut args = pod.data["spec"]["containers"][0]["args"].as_array().into_iter().flatten();
    !args.any(|word| word == "--ca-generate=false")
}

/// The CA's certificate, and its signer.
async fn authority(cluster: &Cluster, may_make_one: bool) -> Result<(String, Issuer<'static, KeyPair>)> {
    let id = ObjectRef::namespaced("v1", "Secret", NAMESPACE, AUTHORITY);
    let stored = cluster.get(&id).await?;
    let part = |name: &str| -> Option<String> {
        let encoded = stored.as_ref()?.data["data"][name].as_str()?;
        String::from_utf8(STANDARD.decode(encoded).ok()?).ok()
    };
    if let (Some(certificate), Some(key)) = (part("ca.crt"), part("ca.key")) {
        let issuer = issuing::authority(&certificate, &key).map_err(|error| failed(&error))?;
        return Ok((certificate, issuer));
    }
    if !may_make_one {
        return Err(Failure::step(format!("{id} not found")));
    }
    let wanted = issuing::Wanted { common_name: Some("Cilium CA"), hosts: Vec::new(), is_authority: true };
    let issued = wanted.self_signed().map_err(|error| failed(&error))?;
    let data =
        json!({"ca.crt": STANDARD.encode(&issued.certificate), "ca.key": STANDARD.encode(&issued.key)});
    store(cluster, NAMESPACE, AUTHORITY, "Opaque", &data).await?;
    let issuer = issuing::authority(&issued.certificate, &issued.key).map_err(|error| failed(&error))?;
    Ok((issued.certificate, issuer))
}

impl Wanted {
    fn certificate(&self) -> issuing::Wanted<'_> {
        let hosts = if self.hosts.is_empty() { vec![self.common_name.clone()] } else { self.hosts.clone() };
        issuing::Wanted { common_name: Some(&self.common_name), hosts, is_authority: false }
    }
}

async fn store(cluster: &Cluster, namespace: &str, name: &str, kind: &str, data: &Value) -> Result<()> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client(), namespace);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": kind,
        "metadata": {"name": name, "namespace": namespace}, "data": data,
    });
    secrets
        .patch(name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(&secret))
        .await
        .map(drop)
        .map_err(|error| failed(&error))
}

fn failed(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::step("cannot create Cilium's certificates").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certgen_pod_has_its_certificates_in_its_arguments() {
        let config = "certs:\n- name: a\n  namespace: n\n  commonName: a.test\n  hosts: [a.test, 10.0.0.1]\n  usage: [signing]\n  validity: 24h\n";
        let pod = |env: &Value| -> Object {
            serde_json::from_value(json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
                "spec": {"containers": [{"image": "quay.io/cilium/certgen:v1", "env": env}]},
            }))
            .unwrap()
        };
        let config = config_of(&pod(&json!([{"name": "CILIUM_CERTGEN_CONFIG", "value": config}]))).unwrap();
        assert_eq!((config.certs[0].name.as_str(), config.certs[0].hosts.len()), ("a", 2));
        assert!(super::config_of(&pod(&json!([]))).is_err());
    }
}
