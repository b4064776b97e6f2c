//! Secrets that objects of operators name: of cert-manager, external-secrets, CloudNativePG, and Cilium's release.

use serde_json::Value;

use crate::fleet::Placed;
use crate::known;
use crate::paths::values_at;
use bootstrapper_gitops::Declared;
use bootstrapper_gitops::order::{at, encrypts_with_ipsec};

/// A reference to a Secret, and to one of its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    /// Where its name is.
    pub(super) path: String,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
    pub(super) key: Option<&'a str>,
}

/// The Secrets that an object of an operator needs.
pub(super) fn named(placed: Placed<'_>) -> Vec<Reference<'_>> {
    let id = placed.id();
    let own = placed.object.metadata.namespace.as_deref().unwrap_or_default();
    let spec = placed.field(&["spec"]);
    match (id.group(), id.kind.as_str()) {
        ("cert-manager.io", "Issuer") => issuer(spec, own),
        ("cert-manager.io", "ClusterIssuer") => {
            of_cluster_issuers(placed.declared).map(|home| issuer(spec, home)).unwrap_or_default()
        }
        ("external-secrets.io", "SecretStore") => store(spec, Some(own)),
        ("external-secrets.io", "ClusterSecretStore") => store(spec, None),
        ("postgresql.cnpg.io", "Cluster") => postgres(placed, own),
        ("barmancloud.cnpg.io", "ObjectStore") => {
            let mut found = Vec::new();
            keyed(at(spec, "configuration"), "spec.configuration", &mut found);
            in_namespace(found, Some(own))
        }
        ("helm.toolkit.fluxcd.io", "HelmRelease") => cilium(placed),
        _ => Vec::new(),
    }
}

/// The path of an object with a name, and the object.
type Found<'a> = Vec<(String, &'a Value)>;

fn in_namespace<'a>(found: Found<'a>, namespace: Option<&'a str>) -> Vec<Reference<'a>> {
    let named = found.into_iter().filter_map(|(path, one)| {
        // Without a namespace, a store looks in that of each ExternalSecret.
        let namespace = namespace.or_else(|| one["namespace"].as_str())?;
        let name = one["name"].as_str().filter(|name| !name.is_empty())?;
        Some(Reference { path: format!("{path}.name"), namespace, name, key: one["key"].as_str() })
    });
    named.collect()
}

fn walk<'a>(value: &'a Value, path: &str, visit: &mut impl FnMut(&str, &str, &'a Value) -> bool) {
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                let path = format!("{path}.{name}");
                if visit(&path, name, inner) {
                    walk(inner, &path, visit);
                }
            }
        }
        Value::Array(items) => {
            for (number, inner) in items.iter().enumerate() {
                walk(inner, &format!("{path}[{number}]"), visit);
            }
        }
        _ => {}
    }
}

/// Everything with both a name and a key.
fn keyed<'a>(value: &'a Value, path: &str, found: &mut Found<'a>) {
    walk(value, path, &mut |path, _, one| {
        let is_reference = one["name"].is_string() && one["key"].is_string() && one["type"].is_null();
        if is_reference {
            found.push((path.to_owned(), one));
        }
        !is_reference
    });
}

/// The namespace with the Secrets of ClusterIssuers: that of cert-manager itself, unless its values say otherwise.
fn of_cluster_issuers(declared: &Declared) -> Option<&str> {
    let manager = declared.releases.iter().find(|release| release.chart.name() == "cert-manager");
    let Some(manager) = manager else { return Some("cert-manager") };
    let said = at(&manager.values, "clusterResourceNamespace").as_str().filter(|name| !name.is_empty());
    let is_argument = manager.values.to_string().contains("--cluster-resource-namespace");
    (!is_argument).then(|| said.unwrap_or(&manager.release_namespace))
}

fn issuer<'a>(spec: &'a Value, namespace: &'a str) -> Vec<Reference<'a>> {
    let mut found = Vec::new();
    walk(spec, "spec", &mut |path, name, one| {
        // cert-manager makes the key of its account; a solver of somebody else looks wherever it likes.
        if name == "privateKeySecretRef" || name == "webhook" {
            return false;
        }
        let is_reference = name.to_ascii_lowercase().ends_with("secretref") && one["name"].is_string();
        if is_reference {
            found.push((path.to_owned(), one));
        }
        !is_reference
    });
    let mut named = in_namespace(found, Some(namespace));
    let authority = at(spec, "ca.secretName").as_str();
    named.extend(authority.map(|name| Reference {
        path: "spec.ca.secretName".to_owned(),
        namespace,
        name,
        key: Some("tls.key"),
    }));
    named
}

fn store<'a>(spec: &'a Value, namespace: Option<&'a str>) -> Vec<Reference<'a>> {
    let mut found = Vec::new();
    for (provider, settings) in spec["provider"].as_object().into_iter().flatten() {
        let credentials = settings.as_object().into_iter().flatten();
        for (name, value) in credentials.filter(|(name, _)| name.to_ascii_lowercase().starts_with("auth")) {
            keyed(value, &format!("spec.provider.{provider}.{name}"), &mut found);
        }
    }
    in_namespace(found, namespace)
}

fn postgres<'a>(placed: Placed<'a>, own: &'a str) -> Vec<Reference<'a>> {
    const NAMED: [&str; 5] = [
        "spec.superuserSecret",
        "spec.bootstrap.initdb.secret",
        "spec.bootstrap.recovery.secret",
        "spec.bootstrap.pg_basebackup.secret",
        "spec.managed.roles[].passwordSecret",
    ];
    let mut found: Found<'a> = NAMED.iter().flat_map(|path| values_at(&placed.object.data, path)).collect();
    let credentials = values_at(&placed.object.data, "spec.externalClusters[].password");
    found.extend(credentials);
    keyed(placed.field(&["spec", "backup"]), "spec.backup", &mut found);
    in_namespace(found, Some(own))
}

/// The Secret with the keys of IPsec: the chart does not make it, and the agents mount it.
fn cilium(placed: Placed<'_>) -> Vec<Reference<'_>> {
    let declared = placed.declared;
    let Some(cilium) = known::cilium(declared).filter(|cilium| *cilium.id == placed.id()) else {
        return Vec::new();
    };
    let release = declared.releases.iter().find(|release| release.id == *cilium.id);
    let Some(release) = release.filter(|_| encrypts_with_ipsec(cilium.values)) else { return Vec::new() };
    let ipsec = at(cilium.values, "encryption.ipsec");
    let name = at(ipsec, "secretName").as_str().unwrap_or("cilium-ipsec-keys");
    vec![Reference {
        path: "spec.values.encryption".to_owned(),
        namespace: &release.release_namespace,
        name,
        key: Some(at(ipsec, "keyFile").as_str().unwrap_or("keys")),
    }]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(found: &[Reference<'_>]) -> Vec<String> {
        found
            .iter()
            .map(|one| format!("{} {}/{}#{}", one.path, one.namespace, one.name, one.key.unwrap_or("-")))
            .collect()
    }

    #[test]
    fn secrets_of_issuers() {
        let spec = json!({"acme": {"privateKeySecretRef": {"name": "account"}, "solvers": [
            {"dns01": {"cloudflare": {"apiTokenSecretRef": {"name": "cf", "key": "token"}}}},
            {"dns01": {"webhook": {"config": {"apiKeySecretRef": {"name": "other", "key": "x"}}}}}]}});
        assert_eq!(
            shown(&issuer(&spec, "n")),
            ["spec.acme.solvers[0].dns01.cloudflare.apiTokenSecretRef.name n/cf#token"]
        );
        assert_eq!(
            shown(&issuer(&json!({"ca": {"secretName": "ca"}}), "n")),
            ["spec.ca.secretName n/ca#tls.key"]
        );
        assert!(issuer(&json!({"selfSigned": {}}), "n").is_empty());
    }

    #[test]
    fn secrets_of_stores() {
        let spec = json!({"provider": {"onepassword": {"auth": {"secretRef": {"connectTokenSecretRef":
            {"name": "token", "key": "token", "namespace": "eso"}}}}}});
        let path = "spec.provider.onepassword.auth.secretRef.connectTokenSecretRef.name";
        assert_eq!(shown(&store(&spec, None)), [format!("{path} eso/token#token")]);
        let spec = json!({"provider": {"azurekv": {"authSecretRef": {"clientId": {"name": "a", "key": "id"}}},
            "vault": {"caProvider": {"type": "Secret", "name": "ca", "key": "ca.crt"}}}});
        assert_eq!(
            shown(&store(&spec, Some("n"))),
            ["spec.provider.azurekv.authSecretRef.clientId.name n/a#id"]
        );
        // Looked up in the namespace of each ExternalSecret.
        assert!(store(&spec, None).is_empty());
    }
}
