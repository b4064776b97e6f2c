//! Simulates cert-manager: creates the Secret of a Certificate, signed by the CA of its issuer. An issuer without a
//! CA in the cluster (ACME, Vault) is the sandbox's own CA.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::issuing::{Issued, Wanted, authority};
use crate::site::Site;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, ObjectRef};

const MANAGER: &str = "cert-manager-certificates-issuing";

/// The namespace in which cert-manager looks up the Secrets of ClusterIssuers.
const OF_CLUSTER_ISSUERS: &str = "cert-manager";

/// Creates the Secret, unless it has been issued before.
pub(super) async fn make(site: &Site, declared: &Object) -> Result<()> {
    let id = ObjectRef::of(declared);
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::step(format!("cannot create the Secret of {id}")).caused_by(error)
    };
    let namespace = id.namespace.as_deref().unwrap_or_default();
    let spec = &declared.data["spec"];
    let Some(name) = spec["secretName"].as_str() else { return Ok(()) };
    let secrets: Api<Secret> = Api::namespaced(site.cluster.client(), namespace);
    let stored = secrets.get_opt(name).await.map_err(|error| failed(&error))?;
    if stored.is_some_and(|stored| stored.data.is_some_and(|data| data.contains_key("tls.crt"))) {
        return Ok(());
    }
    let wanted = wanted(spec);
    let (issued, authority) = match authority_of(site, spec, namespace).await? {
        Authority::Own => {
            let issued = wanted.self_signed().map_err(|error| failed(&error))?;
            let own = issued.certificate.clone();
            (issued, own)
        }
        Authority::Secret { certificate, key } => {
            let signer = authority(&certificate, &key).map_err(|error| failed(&error))?;
            (wanted.signed_by(&signer).map_err(|error| failed(&error))?, certificate)
        }
        Authority::Sandbox => {
            let pair = site.certificates.server(wanted.hosts)?;
            let issued = Issued { certificate: pair.certificate, key: pair.key };
            (issued, site.certificates.authority_pem().to_owned())
        }
    };
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {
            "name": name, "namespace": namespace,
            "labels": spec["secretTemplate"]["labels"],
            "annotations": annotations(&id, spec),
        },
        "data": {
            "ca.crt": STANDARD.encode(authority),
            "tls.crt": STANDARD.encode(issued.certificate),
            "tls.key": STANDARD.encode(issued.key),
        },
    });
    let parameters = PatchParams::apply(MANAGER).force();
    secrets.patch(name, &parameters, &Patch::Apply(&secret)).await.map(drop).map_err(|error| failed(&error))
}

fn annotations(id: &ObjectRef, spec: &Value) -> Value {
    let mut all = spec["secretTemplate"]["annotations"].as_object().cloned().unwrap_or_default();
    all.insert("cert-manager.io/certificate-name".to_owned(), id.name.clone().into());
    all.into()
}

/// Who signs.
enum Authority {
    /// The certificate itself (`selfSigned`).
    Own,
    /// A CA in the cluster (`ca`), as PEM.
    Secret { certificate: String, key: String },
    /// The sandbox, in place of a server that it does not have.
    Sandbox,
}

/// Who signs the certificates of the issuer. Fails as long as the issuer or its CA does not exist.
async fn authority_of(site: &Site, spec: &Value, namespace: &str) -> Result<Authority> {
    let reference = &spec["issuerRef"];
    let name = reference["name"].as_str().unwrap_or_default();
    let (kind, of_secrets) = match reference["kind"].as_str() {
        Some("ClusterIssuer") => ("ClusterIssuer", OF_CLUSTER_ISSUERS),
        _ => ("Issuer", namespace),
    };
    let id = match kind {
        "ClusterIssuer" => ObjectRef::cluster_scoped("cert-manager.io/v1", kind, name),
        _ => ObjectRef::namespaced("cert-manager.io/v1", kind, namespace, name),
    };
    let missing = |id: &ObjectRef| Failure::step(format!("{id} not found"));
    let issuer = site.cluster.get(&id).await?.ok_or_else(|| missing(&id))?;
    let issuer = &issuer.data["spec"];
    if issuer["selfSigned"].is_object() {
        return Ok(Authority::Own);
    }
    let Some(secret) = issuer["ca"]["secretName"].as_str() else { return Ok(Authority::Sandbox) };
    let id = ObjectRef::namespaced("v1", "Secret", of_secrets, secret);
    let stored = site.cluster.get(&id).await?.ok_or_else(|| missing(&id))?;
    let part = |key: &str| {
        let decoded = stored.data["data"][key].as_str().and_then(|text| STANDARD.decode(text).ok());
        decoded.and_then(|pem| String::from_utf8(pem).ok())
    };
    match (part("tls.crt"), part("tls.key")) {
        (Some(certificate), Some(key)) => Ok(Authority::Secret { certificate, key }),
        _ => Err(Failure::step(format!("{id} has no certificate of a CA"))),
    }
}

fn wanted(spec: &Value) -> Wanted<'_> {
    let hosts = ["dnsNames", "ipAddresses"]
        .into_iter()
        .flat_map(|field| spec[field].as_array().into_iter().flatten());
    Wanted {
        common_name: spec["commonName"].as_str(),
        hosts: hosts.filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        is_authority: spec["isCA"] == true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_has_the_declared_names() {
        let spec = json!({"commonName": "home", "isCA": true, "dnsNames": ["home.test", "*.home.test"], "ipAddresses": ["10.0.0.1"]});
        let wanted = wanted(&spec);
        assert_eq!(wanted.hosts, ["home.test", "*.home.test", "10.0.0.1"]);
        assert_eq!((wanted.common_name, wanted.is_authority), (Some("home"), true));
    }
}
