//! Keys of Secrets and ConfigMaps that exist, but do not have what is looked for in them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::fleet::Placed;
use crate::paths::values_at;
use crate::schema::is_unknown;
use crate::{Finding, Rule, Severity, known, listeners, operator_secrets, pods};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_gitops::order::at;

pub(crate) const RULES: &[Rule] = &[Rule {
    name: "missing-key",
    severity: Severity::Error,
    summary: "a Secret or ConfigMap does not have the key that an object looks for",
    why: "it exists, so nothing waits for it, but it opens nothing: Flux cannot decrypt or authenticate, and pods do not start (CreateContainerConfigError)",
    fix: "correct the key, where it is used or where it is declared (under `secrets` in bootstrapper.yaml, or in the repository)",
    check: |rule, fleet| {
        let mut found = fleet.each_whole_object(|placed| missing(rule, placed));
        found.extend(fleet.each_whole_object(|placed| undecryptable(rule, placed).into_iter().collect()));
        found
    },
}];

/// Which keys are looked for.
enum Wanted<'a> {
    One(&'a str),
    All(&'static [&'static str]),
    Any(&'static [&'static str]),
    /// One that ends so, or one of the others.
    Ending(&'static [&'static str], &'static [&'static str]),
}

impl Wanted<'_> {
    fn is_met(&self, keys: &BTreeSet<String>) -> bool {
        match self {
            Self::One(key) => keys.contains(*key),
            Self::All(all) => all.iter().all(|key| keys.contains(*key)),
            Self::Any(any) => any.iter().any(|key| keys.contains(*key)),
            Self::Ending(ends, others) => {
                keys.iter().any(|key| ends.iter().any(|end| key.ends_with(end)))
                    || others.iter().any(|key| keys.contains(*key))
            }
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::One(key) => format!("`{key}`"),
            Self::All(all) => format!("`{}`", all.join("` and `")),
            Self::Any(any) => format!("one of `{}`", any.join("`, `")),
            Self::Ending(ends, _) => format!("a key that ends in `{}`", ends.join("` or `")),
        }
    }
}

/// A use of keys.
struct Use<'a> {
    path: String,
    kind: &'static str,
    namespace: &'a str,
    name: &'a str,
    wanted: Wanted<'a>,
}

fn missing(rule: &Rule, placed: Placed<'_>) -> Vec<Finding> {
    let found = uses(placed).into_iter().filter_map(|one| {
        let keys = keys_of(placed, one.kind, one.namespace, one.name)?;
        let is_plain = match one.wanted {
            Wanted::One(key) => !is_unknown(key),
            _ => true,
        };
        if !is_plain || one.wanted.is_met(&keys) {
            return None;
        }
        let has = if keys.is_empty() { "no keys".to_owned() } else { listed(&keys) };
        let message = format!(
            "{} looks for {} in {} {}/{}, which has {has}",
            placed.id(),
            one.wanted.describe(),
            one.kind,
            one.namespace,
            one.name
        );
        Some(placed.finding(rule, &one.path, message))
    });
    found.collect()
}

fn listed(keys: &BTreeSet<String>) -> String {
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}

/// What a file may be encrypted for, and how the entries with keys for it end.
const METHODS: [(&str, &str, &str); 2] = [("age", "age", ".agekey"), ("pgp", "PGP", ".asc")];

/// A file that is encrypted only for PGP, where the Secret has only keys of age, or the other way round.
fn undecryptable(rule: &Rule, placed: Placed<'_>) -> Option<Finding> {
    let sops = placed.field(&["sops"]).as_object()?;
    let parent = placed.kustomization;
    let secret = at(&parent.object.data, "spec.decryption.secretRef.name").as_str()?;
    let namespace = parent.id.namespace.as_deref()?;
    let keys = keys_of(placed, "Secret", namespace, secret).filter(|keys| DECRYPTION.is_met(keys))?;
    let is_listed = |name: &str| sops.get(name).and_then(Value::as_array).is_some_and(|all| !all.is_empty());
    // Clouds open files without a key in the Secret, and groups hold methods of their own.
    if ["azure_kv", "gcp_kms", "hc_vault", "key_groups", "kms"].iter().any(|name| is_listed(name)) {
        return None;
    }
    let used: Vec<_> = METHODS.iter().filter(|(name, ..)| is_listed(name)).collect();
    let is_open = used.iter().any(|(.., end)| keys.iter().any(|key| key.ends_with(end)));
    if used.is_empty() || is_open {
        return None;
    }
    let names: Vec<&str> = used.iter().map(|(_, name, _)| *name).collect();
    let message = format!(
        "{} is encrypted for {} only, and Secret {namespace}/{secret} has {}",
        placed.id(),
        names.join(" and "),
        listed(&keys)
    );
    Some(placed.finding(rule, "sops", message))
}

/// All keys of a Secret or ConfigMap; none if it may have others.
fn keys_of(placed: Placed<'_>, kind: &str, namespace: &str, name: &str) -> Option<BTreeSet<String>> {
    let mut keys = placed.declared.keys.get(&ObjectRef::namespaced("v1", kind, namespace, name))?.clone();
    let Some(own) = known::find(placed.declared, "", kind, Some(namespace), name) else { return Some(keys) };
    if known::is_filled_elsewhere(own.object) || own.field(&["type"]) == "kubernetes.io/service-account-token"
    {
        return None;
    }
    // Binary data has no text, but a key.
    for field in ["data", "stringData", "binaryData"] {
        keys.extend(own.field(&[field]).as_object().into_iter().flatten().map(|(key, _)| key.clone()));
    }
    Some(keys)
}

fn uses(placed: Placed<'_>) -> Vec<Use<'_>> {
    let id = placed.id();
    let own = placed.object.metadata.namespace.as_deref().unwrap_or_default();
    let mut found = of_pods(placed, own);
    found.extend(of_flux(placed, own));
    if placed.is("cilium.io", "CiliumBGPPeerConfig") {
        let namespace = known::cilium(placed.declared)
            .and_then(|cilium| cilium.values["bgpControlPlane"]["secretsNamespace"]["name"].as_str())
            .unwrap_or("kube-system");
        let name = placed.field(&["spec", "authSecretRef"]).as_str();
        found.extend(name.map(|name| secret("spec.authSecretRef", namespace, name, Wanted::One("password"))));
    }
    if id.group() == listeners::GROUP && listeners::WITH_LISTENERS.contains(&id.kind.as_str()) {
        let references = values_at(&placed.object.data, "spec.listeners[].tls.certificateRefs[]").into_iter();
        found.extend(references.filter_map(|(path, one)| {
            let name =
                one["name"].as_str().filter(|_| one["kind"].as_str().is_none_or(|it| it == "Secret"))?;
            let namespace = one["namespace"].as_str().unwrap_or(own);
            Some(secret(format!("{path}.name"), namespace, name, Wanted::All(&["tls.crt", "tls.key"])))
        }));
    }
    found.extend(
        operator_secrets::named(placed)
            .into_iter()
            .filter_map(|one| Some(secret(one.path, one.namespace, one.name, Wanted::One(one.key?)))),
    );
    found
}

fn secret<'a>(path: impl Into<String>, namespace: &'a str, name: &'a str, wanted: Wanted<'a>) -> Use<'a> {
    Use { path: path.into(), kind: "Secret", namespace, name, wanted }
}

/// What kustomize-controller uses of a Secret for decryption (`internal/decryptor`).
const DECRYPTION: Wanted<'static> = Wanted::Ending(
    &[".agekey", ".asc"],
    &["sops.vault-token", "sops.aws-kms", "sops.azure-kv", "sops.gcp-kms"],
);

/// What source-controller uses of a Secret for HTTPS: credentials, an app of GitHub, certificates.
const HTTPS: Wanted<'static> = Wanted::Any(&[
    "username",
    "password",
    "bearerToken",
    "githubAppID",
    "ca.crt",
    "caFile",
    "tls.crt",
    "certFile",
]);

fn of_flux<'a>(placed: Placed<'a>, own: &'a str) -> Vec<Use<'a>> {
    let id = placed.id();
    let named = |path: &str| values_at(&placed.object.data, path).pop().and_then(|(_, name)| name.as_str());
    let mut found = Vec::new();
    let mut add = |path: &str, wanted: Wanted<'a>| {
        found.extend(named(path).map(|name| secret(path, own, name, wanted)));
    };
    let url = placed.field(&["spec", "url"]).as_str().unwrap_or_default();
    match (id.group(), id.kind.as_str()) {
        ("kustomize.toolkit.fluxcd.io", "Kustomization") => add("spec.decryption.secretRef.name", DECRYPTION),
        ("source.toolkit.fluxcd.io", "GitRepository") if url.starts_with("ssh://") => {
            add("spec.secretRef.name", Wanted::All(&["identity", "known_hosts"]));
        }
        ("source.toolkit.fluxcd.io", "GitRepository") => add("spec.secretRef.name", HTTPS),
        ("source.toolkit.fluxcd.io", "OCIRepository") => {
            add("spec.secretRef.name", Wanted::Any(&[".dockerconfigjson", ".dockercfg"]));
        }
        ("notification.toolkit.fluxcd.io", "Receiver") => add("spec.secretRef.name", Wanted::One("token")),
        _ => {}
    }
    if placed.field(&["spec", "verify", "provider"]) == "cosign" {
        let path = "spec.verify.secretRef.name";
        found.extend(named(path).map(|name| secret(path, own, name, Wanted::Ending(&[".pub"], &[]))));
    }
    found
}

/// Where containers name keys, and in what.
const VARIABLES: [(&str, &str); 2] =
    [("env[].valueFrom.secretKeyRef", "Secret"), ("env[].valueFrom.configMapKeyRef", "ConfigMap")];

/// The same of volumes: what holds the entries, and the field of its name.
const VOLUMES: [(&str, &str, &str); 2] =
    [("secret", "secretName", "Secret"), ("configMap", "name", "ConfigMap")];

fn of_pods<'a>(placed: Placed<'a>, own: &'a str) -> Vec<Use<'a>> {
    let Some((path, pod)) = pods::pod_of(placed) else { return Vec::new() };
    let mut found = Vec::new();
    for (at, container) in pods::containers(&path, pod) {
        for (field, kind) in VARIABLES {
            let all = values_at(container, field).into_iter().filter(|(_, one)| one["optional"] != true);
            found.extend(all.filter_map(|(field, one)| {
                let (name, key) = (one["name"].as_str()?, one["key"].as_str()?);
                let path = format!("{at}.{field}.key");
                Some(Use { path, kind, namespace: own, name, wanted: Wanted::One(key) })
            }));
        }
    }
    for (at, volume) in values_at(pod, "volumes[]") {
        let projected = values_at(volume, "projected.sources[]").into_iter();
        let sources = projected.map(|(inner, source)| (format!("{at}.{inner}"), source, "name"));
        let sources: Vec<(String, &'a Value, &str)> =
            std::iter::once((at.clone(), volume, "")).chain(sources).collect();
        for (at, source, projected) in sources {
            for (holder, name, kind) in VOLUMES {
                let one = &source[holder];
                let name = if projected.is_empty() { name } else { projected };
                let Some(name) = one[name].as_str().filter(|_| one["optional"] != true) else { continue };
                let items = values_at(one, "items[].key").into_iter();
                found.extend(items.filter_map(|(item, key)| {
                    let path = format!("{path}.{at}.{holder}.{item}");
                    Some(Use { path, kind, namespace: own, name, wanted: Wanted::One(key.as_str()?) })
                }));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_what() {
        let keys = |all: &[&str]| all.iter().map(|key| (*key).to_owned()).collect::<BTreeSet<_>>();
        assert!(
            DECRYPTION.is_met(&keys(&["identity.agekey"])) && DECRYPTION.is_met(&keys(&["sops.gcp-kms"]))
        );
        assert!(!DECRYPTION.is_met(&keys(&["age.key", "keys.txt"])));
        assert!(HTTPS.is_met(&keys(&["username", "password"])) && !HTTPS.is_met(&keys(&["token"])));
        assert!(!Wanted::All(&["identity", "known_hosts"]).is_met(&keys(&["identity"])));
        assert!(Wanted::Ending(&[".pub"], &[]).is_met(&keys(&["cosign.pub"])));
    }
}
