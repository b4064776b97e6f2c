//! A Flux Kustomization: what it builds, and what it substitutes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use secrecy::ExposeSecret as _;

use super::load::SecretValues;
use crate::failure::{Failure, Result};
use crate::object::{Object, ObjectRef};

/// A Flux Kustomization, built.
#[derive(Debug, Clone)]
pub struct Kustomization {
    /// The Flux object.
    pub id: ObjectRef,
    /// What it builds, relative to the repository.
    pub path: PathBuf,
    /// The Kustomizations that must be ready before it.
    pub depends_on: Vec<ObjectRef>,
    /// What it builds to, substitutions made. None if its source is another repository.
    pub objects: Vec<Object>,
}

impl Kustomization {
    /// Its objects, for the bootstrap to apply. Fails if one is encrypted with SOPS: the bootstrap
    /// does not decrypt what a Kustomization builds, and ciphertext must not be applied.
    pub fn applicable(&self) -> Result<&[Object]> {
        match self.objects.iter().find(|object| object.data["sops"]["mac"].is_string()) {
            None => Ok(&self.objects),
            Some(encrypted) => Err(Failure::input(format!(
                "{} is encrypted with SOPS, and the bootstrap applies {} before Flux can decrypt it",
                ObjectRef::of(encrypted),
                self.id
            ))
            .hint(format!(
                "declare it under `secrets` in bootstrapper.yaml with `sops:` (a file outside {}), or move it to a Kustomization that only Flux applies",
                self.path.display()
            ))),
        }
    }
}

/// What substitutions may draw from: ConfigMaps that the repository declares, and Secrets that the
/// bootstrap seeds.
pub(super) struct Sources<'a> {
    pub(super) config_maps: &'a BTreeMap<(String, String), BTreeMap<String, String>>,
    pub(super) secrets: &'a SecretValues,
}

impl Sources<'_> {
    /// The data of a ConfigMap or Secret.
    pub(super) fn data(&self, kind: &str, namespace: &str, name: &str) -> Option<BTreeMap<String, String>> {
        let key = (namespace.to_owned(), name.to_owned());
        match kind {
            "ConfigMap" => self.config_maps.get(&key).cloned(),
            "Secret" => self.secrets.get(&key).map(|data| {
                data.iter().map(|(key, value)| (key.clone(), value.expose_secret().to_owned())).collect()
            }),
            _ => None,
        }
    }
}

/// The variables of a Kustomization; none if it substitutes nothing. As in Flux, `substituteFrom`
/// counts in order, `substitute` counts last, and newlines are taken out of values.
pub(super) fn variables(object: &Object, sources: &Sources<'_>) -> Result<Option<BTreeMap<String, String>>> {
    let id = ObjectRef::of(object);
    let post_build = &object.data["spec"]["postBuild"];
    if post_build.is_null() {
        return Ok(None);
    }
    let namespace = id.namespace.clone().unwrap_or_default();
    let mut variables = BTreeMap::new();
    for reference in post_build["substituteFrom"].as_array().into_iter().flatten() {
        let (kind, name) = (text(&reference["kind"]), text(&reference["name"]));
        match sources.data(kind, &namespace, name) {
            Some(data) => variables.extend(data),
            None if reference["optional"] == true => {}
            None => return Err(missing(&id, kind, &namespace, name)),
        }
    }
    for (name, value) in post_build["substitute"].as_object().into_iter().flatten() {
        variables.insert(name.clone(), text(value).to_owned());
    }
    for (name, value) in &mut variables {
        if !is_name(name) {
            return Err(Failure::input(format!(
                "{id} substitutes `{name}`, which is no name for a variable"
            )));
        }
        value.retain(|c| c != '\n');
    }
    let always = post_build["substituteStrategy"] == "Always";
    Ok((always || !variables.is_empty()).then_some(variables))
}

fn text(value: &serde_json::Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first == '_' || first.is_ascii_alphabetic())
        && chars.all(|c| c == '_' || c.is_ascii_alphanumeric())
}

fn missing(id: &ObjectRef, kind: &str, namespace: &str, name: &str) -> Failure {
    let failure =
        Failure::input(format!("{id} substitutes from {kind} {namespace}/{name}, which is not declared"));
    match kind {
        "Secret" => failure.hint(format!("declare it under `secrets` in bootstrapper.yaml: {{name: {name}, namespace: {namespace}, data: …}}")),
        _ => failure.hint("declare it in the cluster's folder, or mark the reference `optional`"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_encrypted_is_not_for_the_bootstrap_to_apply() {
        let kustomization = |secret: serde_json::Value| Kustomization {
            id: ObjectRef::cluster_scoped("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "cilium-config"),
            path: "kubernetes/cilium".into(),
            depends_on: Vec::new(),
            objects: vec![serde_json::from_value(secret).unwrap()],
        };
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bgp", "namespace": "kube-system"}});
        assert_eq!(kustomization(secret.clone()).applicable().unwrap().len(), 1);
        let mut encrypted = secret;
        encrypted["sops"] = json!({"mac": "ENC[AES256_GCM,data:x]", "version": "3.9.4"});
        let refused = kustomization(encrypted).applicable().unwrap_err();
        assert!(refused.what.contains("Secret kube-system/bgp is encrypted with SOPS"), "{}", refused.what);
    }
}
