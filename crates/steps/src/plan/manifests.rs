//! Manifests that are built before planning: folders in the repository, and files that are encrypted or get a
//! namespace.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::secrets::generated;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::files;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_gitops::pipeline::{ObjectsSpec, Pipeline, StepKind};
use bootstrapper_gitops::trust::{self, Approvals};
use bootstrapper_gitops::{BuiltObject, Repository, SecretValues};
use bootstrapper_tools::Kustomize;

/// Built manifests, by path and namespace: settings are not substituted yet.
#[derive(Debug, Default)]
pub struct Manifests(BTreeMap<(PathBuf, Option<String>), Result<Vec<String>>>);

/// The inputs of the objects of steps.
pub struct ManifestSources<'a> {
    /// The name of the cluster.
    pub name: &'a str,
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// The repository.
    pub repository: &'a Repository,
    /// Kustomize.
    pub kustomize: &'a Kustomize,
    /// The seeded secrets, which may contain age keys.
    pub secrets: &'a SecretValues,
    /// The user's approvals.
    pub approvals: &'a Approvals,
    /// Whether the cluster is a sandbox, where values that were not approved for decryption are generated.
    pub in_sandbox: bool,
}

/// Builds the objects of `objects` steps.
pub async fn build_manifests(sources: &ManifestSources<'_>) -> Manifests {
    let mut all = BTreeMap::new();
    for stage in &sources.pipeline.stages {
        for step in &stage.steps {
            let StepKind::Objects(spec) = &step.kind else { continue };
            let path = spec.path(sources.name);
            let root = &sources.repository.root;
            let is_encrypted = sources.repository.holds_encrypted(&path);
            if !(files::is_folder(root, &path) || is_encrypted || spec.namespace().is_some()) {
                continue;
            }
            let request = trust::keys_request(sources.name, &stage.name, step);
            let with_own_keys = is_encrypted && sources.approvals.allows(&request);
            let built = built(sources, spec, with_own_keys).await;
            all.insert((path, spec.namespace().map(str::to_owned)), built);
        }
    }
    Manifests(all)
}

async fn built(
    sources: &ManifestSources<'_>,
    spec: &ObjectsSpec,
    with_own_keys: bool,
) -> Result<Vec<String>> {
    let path = spec.path(sources.name);
    let with = (sources.secrets, with_own_keys);
    let built = sources.repository.manifests(&path, spec.namespace(), sources.kustomize, with).await?;
    built.into_iter().map(|one| text(one, sources.in_sandbox)).collect()
}

/// The text of an object; an error if it is encrypted.
fn text(built: BuiltObject, in_sandbox: bool) -> Result<String> {
    let Some(failure) = built.undecrypted else { return Ok(built.text) };
    if in_sandbox && ObjectRef::of(&built.object).kind == "Secret" {
        return serde_json::to_string(&with_values(built.object))
            .map_err(|error| Failure::internal("an object cannot be written").caused_by(&error));
    }
    let what = format!("{} is encrypted with SOPS", ObjectRef::of(&built.object));
    Err(Failure { what, because: [vec![failure.what], failure.because].concat(), ..failure })
}

/// An encrypted Secret with generated values.
fn with_values(mut secret: Object) -> Object {
    let id = ObjectRef::of(&secret);
    if let Some(fields) = secret.data.as_object_mut() {
        fields.remove("sops");
        for (field, is_encoded) in [("data", true), ("stringData", false)] {
            for (key, value) in fields.get_mut(field).and_then(Value::as_object_mut).into_iter().flatten() {
                let text = generated(&id, key).expose_secret().to_owned();
                *value = if is_encoded { STANDARD.encode(text) } else { text }.into();
            }
        }
    }
    secret
}

impl Manifests {
    /// The manifests built from a path; none for a file that is read directly.
    pub(super) fn get(&self, spec: &ObjectsSpec, cluster: &str) -> Option<&Result<Vec<String>>> {
        self.0.get(&(spec.path(cluster), spec.namespace().map(str::to_owned)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encrypted(kind: &str) -> BuiltObject {
        let object = serde_json::json!({
            "apiVersion": "v1", "kind": kind, "metadata": {"name": "s", "namespace": "ns"},
            "stringData": {"a": "ENC[x]"}, "data": {"b": "ENC[y]"}, "sops": {"mac": "ENC[z]"},
        });
        BuiltObject {
            text: "x".into(),
            object: serde_json::from_value(object).unwrap(),
            undecrypted: Some(Failure::input("no matching key available")),
        }
    }

    #[test]
    fn encrypted_values_are_not_applied_and_are_generated_in_a_sandbox() {
        let failure = text(encrypted("Secret"), false).unwrap_err();
        assert!(failure.what.contains("ns/s is encrypted with SOPS"), "{failure:?}");
        assert_eq!(failure.because, ["no matching key available"]);
        assert!(text(encrypted("ConfigMap"), true).is_err());
        let generated = text(encrypted("Secret"), true).unwrap();
        assert!(!generated.contains("ENC[") && generated.contains("sandbox-"), "{generated}");
        let open = BuiltObject { undecrypted: None, ..encrypted("Secret") };
        assert_eq!(text(open, false).unwrap(), "x");
    }
}
