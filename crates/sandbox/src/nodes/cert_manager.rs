//! Simulates cert-manager: creates the Secret of a Certificate, signed by the CA of its issuer. An issuer without a
//! CA in the cluster (ACME, Vault) is the sandbox's own CA.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde_json::{Value, json};

use crate::site::Site;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, ObjectRef};

const MANAGER: &str = "cert-manager-certificates-issuing";

/// The namespace in which cert-manager looks up the Secrets of ClusterIssuers.
const OF_CLUSTER_ISSUERS: &str = "cert-manager";

/// A certificate chain's first certificate, its key, and the CA's certificate, as PEM.
struct Issued {
    certificate: String,
    key: String,
    authority: String,
}

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
    let issued = match authority_of(site, spec, namespace).await? {
        Authority::Own => self_signed(spec).map_err(|error| failed(&error))?,
        Authority::Secret { certificate, key } => {
            let signer = KeyPair::from_pem(&key)
                .and_then(|key| Issuer::from_ca_cert_pem(&certificate, key))
                .map_err(|error| failed(&error))?;
            let (leaf, key) = signed(spec, &signer).map_err(|error| failed(&error))?;
            Issued { certificate: leaf, key, authority: certificate }
        }
        Authority::Sandbox => {
            let pair = site.certificates.server(names(spec))?;
            let authority = site.certificates.authority_pem().to_owned();
            Issued { certificate: pair.certificate, key: pair.key, authority }
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
            "ca.crt": STANDARD.encode(issued.authority),
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

/// Its names and addresses.
fn names(spec: &Value) -> Vec<String> {
    let all = ["dnsNames", "ipAddresses"]
        .into_iter()
        .flat_map(|field| spec[field].as_array().into_iter().flatten());
    all.filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

fn parameters(spec: &Value) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names(spec))?;
    if let Some(name) = spec["commonName"].as_str() {
        params.distinguished_name.push(DnType::CommonName, name);
    }
    if spec["isCA"] == true {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    } else {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    }
    Ok(params)
}

fn self_signed(spec: &Value) -> Result<Issued, rcgen::Error> {
    let key = KeyPair::generate()?;
    let certificate = parameters(spec)?.self_signed(&key)?.pem();
    Ok(Issued { authority: certificate.clone(), certificate, key: key.serialize_pem() })
}

fn signed(spec: &Value, signer: &Issuer<'_, KeyPair>) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    Ok((parameters(spec)?.signed_by(&key, signer)?.pem(), key.serialize_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_of_a_ca_in_the_cluster_has_the_declared_names() {
        let authority = self_signed(&json!({"isCA": true, "commonName": "home"})).unwrap();
        let key = KeyPair::from_pem(&authority.key).unwrap();
        let signer = Issuer::from_ca_cert_pem(&authority.certificate, key).unwrap();
        let spec = json!({"dnsNames": ["home.test", "*.home.test"], "ipAddresses": ["10.0.0.1"]});
        assert_eq!(names(&spec), ["home.test", "*.home.test", "10.0.0.1"]);
        let (certificate, key) = signed(&spec, &signer).unwrap();
        assert!(certificate.starts_with("-----BEGIN CERTIFICATE-----") && key.contains("PRIVATE KEY"));
        assert!(signed(&json!({"dnsNames": ["not a name \u{e4}"]}), &signer).is_err());
    }
}
