//! ConfigMaps and Secrets that operators create from a custom resource.

use std::collections::BTreeMap;

use serde_json::Value;

use super::sources::Provided;
use bootstrapper_core::object::{Object, ObjectRef};

/// Custom resources, and the ConfigMap or Secret that their operator creates: group, kind, created kind, and the fields
/// of its name and namespace. Without a field, it has the name of the resource.
const MADE: [(&str, &str, &str, &str, &str); 15] = [
    ("cert-manager.io", "Certificate", "Secret", "spec.secretName", ""),
    ("infra.contrib.fluxcd.io", "Terraform", "Secret", "spec.writeOutputsToSecret.name", ""),
    ("k8s.bitwarden.com", "BitwardenSecret", "Secret", "spec.secretName", ""),
    ("objectbucket.io", "ObjectBucketClaim", "ConfigMap", "", ""),
    ("objectbucket.io", "ObjectBucketClaim", "Secret", "", ""),
    ("onepassword.com", "OnePasswordItem", "Secret", "", ""),
    ("secretgen.k14s.io", "Password", "Secret", "", ""),
    ("secretgenerator.mittwald.de", "StringSecret", "Secret", "", ""),
    ("secretgenerator.mittwald.de", "BasicAuth", "Secret", "", ""),
    (
        "secrets.doppler.com",
        "DopplerSecret",
        "Secret",
        "spec.managedSecret.name",
        "spec.managedSecret.namespace",
    ),
    ("secrets.hashicorp.com", "HCPVaultSecretsApp", "Secret", "spec.destination.name", ""),
    ("secrets.hashicorp.com", "VaultDynamicSecret", "Secret", "spec.destination.name", ""),
    ("secrets.hashicorp.com", "VaultPKISecret", "Secret", "spec.destination.name", ""),
    ("secrets.hashicorp.com", "VaultStaticSecret", "Secret", "spec.destination.name", ""),
    (
        "secrets.infisical.com",
        "InfisicalSecret",
        "Secret",
        "spec.managedSecretReference.secretName",
        "spec.managedSecretReference.secretNamespace",
    ),
];

/// Name suffixes of the Secrets that CloudNativePG creates for a Cluster.
const OF_POSTGRES: [&str; 5] = ["app", "ca", "replication", "server", "superuser"];

/// The ConfigMaps and Secrets that an operator creates from an object. Their data exists only in the cluster.
pub(super) fn by(object: &Object) -> Vec<Provided> {
    let id = ObjectRef::of(object);
    let text = |path: &str| {
        (!path.is_empty()).then(|| at(&object.data, path)?.as_str().map(str::to_owned)).flatten()
    };
    let open = |kind: &'static str, namespace, name| Provided {
        kind,
        namespace,
        name,
        data: BTreeMap::new(),
        is_open: true,
    };
    let of_kind = MADE.iter().filter(|(group, kind, ..)| id.group() == *group && id.kind == *kind);
    let mut made: Vec<Provided> = of_kind
        .filter_map(|(_, _, kind, name, namespace)| {
            let name = if name.is_empty() { id.name.clone() } else { text(name)? };
            Some(open(if *kind == "Secret" { "Secret" } else { "ConfigMap" }, text(namespace), name))
        })
        .collect();
    if id.group() == "postgresql.cnpg.io" && id.kind == "Cluster" {
        made.extend(OF_POSTGRES.iter().map(|end| open("Secret", None, format!("{}-{end}", id.name))));
    }
    // Rook creates the keys of an object store user.
    if id.group() == "ceph.rook.io" && id.kind == "CephObjectStoreUser" {
        let store = text("spec.store").unwrap_or_default();
        made.push(open("Secret", None, format!("rook-ceph-object-user-{store}-{}", id.name)));
    }
    // A convention of Crossplane, which other operators follow.
    if let Some(name) = text("spec.writeConnectionSecretToRef.name") {
        made.push(open("Secret", text("spec.writeConnectionSecretToRef.namespace"), name));
    }
    made
}

fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, name| value.get(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(object: Value) -> Vec<String> {
        let made = by(&serde_json::from_value(object).unwrap());
        made.iter()
            .map(|one| format!("{} {}/{}", one.kind, one.namespace.as_deref().unwrap_or("."), one.name))
            .collect()
    }

    #[test]
    fn what_operators_make() {
        let object = |api_version: &str, kind: &str, spec: Value| {
            of(
                json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "x", "namespace": "n"}, "spec": spec}),
            )
        };
        assert_eq!(
            object("objectbucket.io/v1alpha1", "ObjectBucketClaim", json!({})),
            ["ConfigMap ./x", "Secret ./x"]
        );
        assert_eq!(object("cert-manager.io/v1", "Certificate", json!({"secretName": "s"})), ["Secret ./s"]);
        assert_eq!(
            object(
                "a.example.org/v1",
                "Bucket",
                json!({"writeConnectionSecretToRef": {"name": "s", "namespace": "m"}})
            ),
            ["Secret m/s"]
        );
        assert!(object("postgresql.cnpg.io/v1", "Cluster", json!({})).contains(&"Secret ./x-app".to_owned()));
        assert!(object("v1", "Secret", json!({})).is_empty());
    }
}
