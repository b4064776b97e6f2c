//! Which encrypted files are decrypted with the keys of which Secret, and their recipients.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::ciphertext::{format_of, has_mark};
use super::declared::Declared;
use super::decryption::{is_left_encrypted, sources_of};
use super::kustomization::Kustomization;
use bootstrapper_core::failure::Location;
use bootstrapper_core::files;
use bootstrapper_core::object::ObjectRef;
use bootstrapper_core::yaml;

/// A Secret that Kustomizations decrypt with, and the files that it must decrypt.
#[derive(Debug, Clone)]
pub struct KeyUse {
    /// The Secret.
    pub secret: ObjectRef,
    /// The Kustomizations that reference it.
    pub by: Vec<ObjectRef>,
    /// The location of the first reference.
    pub location: Option<Location>,
    /// The encrypted files in the repository that they build.
    pub files: Vec<EncryptedFile>,
}

/// A file encrypted by SOPS.
#[derive(Debug, Clone)]
pub struct EncryptedFile {
    /// The file, relative to the repository.
    pub file: PathBuf,
    /// The age recipients; the key of any one decrypts it.
    pub recipients: BTreeSet<String>,
    /// The file without its values, as JSON: a key that decrypts this decrypts the file. None if no age key
    /// can.
    pub envelope: Option<Vec<u8>>,
    /// The location of the first recipient.
    pub location: Location,
}

impl Declared {
    /// What each Secret with keys must decrypt.
    pub fn key_uses(&self, root: &Path) -> Vec<KeyUse> {
        let mut uses: BTreeMap<ObjectRef, KeyUse> = BTreeMap::new();
        for kustomization in &self.kustomizations {
            let decryption = &kustomization.object.data["spec"]["decryption"];
            let Some(name) = decryption["secretRef"]["name"].as_str() else { continue };
            if decryption["provider"] != "sops" || !kustomization.is_here {
                continue;
            }
            let namespace = kustomization.id.namespace.as_deref().unwrap_or_default();
            let secret = ObjectRef::namespaced("v1", "Secret", namespace, name);
            let new = || KeyUse {
                secret: secret.clone(),
                by: Vec::new(),
                location: self.place(&kustomization.id, "spec.decryption.secretRef.name"),
                files: Vec::new(),
            };
            let one = uses.entry(secret.clone()).or_insert_with(new);
            one.by.push(kustomization.id.clone());
            for file in files_of(kustomization, root) {
                if !one.files.iter().any(|other| other.file == file) {
                    one.files.extend(read(root, &file));
                }
            }
        }
        uses.into_values().collect()
    }
}

/// The files in the repository that a Kustomization builds from.
fn files_of(kustomization: &Kustomization, root: &Path) -> BTreeSet<PathBuf> {
    let decrypted = kustomization.placed_objects().filter(|(object, _)| !is_left_encrypted(object));
    let written = decrypted.filter_map(|(_, written)| Some(written?.file.clone()));
    let components = &kustomization.object.data["spec"]["components"];
    written.chain(sources_of(&kustomization.path, components, root).into_keys()).collect()
}

/// A file, if it is encrypted by SOPS for age keys.
fn read(root: &Path, file: &Path) -> Option<EncryptedFile> {
    let content = files::read(root, file).ok()?;
    has_mark(&content, format_of(file)).then_some(())?;
    let text = String::from_utf8(content).ok()?;
    let metadata = metadata(&text)?;
    let (recipients, envelope) = envelope(&metadata)?;
    let first = recipients.first()?;
    let at = text.lines().enumerate().find_map(|(at, line)| Some((at + 1, line.find(first.as_str())? + 1)));
    let (line, column) = at.unwrap_or((1, 1));
    let location = Location { file: file.to_owned(), line, column };
    Some(EncryptedFile { file: file.to_owned(), recipients, envelope, location })
}

/// The metadata of SOPS in a file, in any format.
fn metadata(text: &str) -> Option<Value> {
    let documents = yaml::from_multiple::<Value>(text, Path::new("it")).unwrap_or_default();
    let structured = documents.iter().map(|document| &document["sops"]).find(|sops| sops.is_object());
    structured.cloned().or_else(|| flat_metadata(text))
}

/// Formats without lists have flattened ones: `sops_age__list_0__map_recipient=…`.
fn flat_metadata(text: &str) -> Option<Value> {
    let mut age: BTreeMap<usize, Map<String, Value>> = BTreeMap::new();
    let mut rest = Map::new();
    for line in text.lines() {
        let Some((name, value)) = line.split_once('=') else { continue };
        let (name, value) = (name.trim().trim_start_matches("sops_"), value.trim().replace("\\n", "\n"));
        if let Some((at, field)) = name.strip_prefix("age__list_").and_then(|rest| rest.split_once("__map_"))
        {
            let Ok(at) = at.parse() else { continue };
            age.entry(at).or_default().insert(field.to_owned(), value.into());
        } else if matches!(name, "mac" | "lastmodified" | "version") {
            rest.insert(name.to_owned(), value.into());
        }
    }
    let list: Vec<Value> = age.into_values().map(Value::Object).collect();
    (!list.is_empty()).then(|| {
        rest.insert("age".to_owned(), list.into());
        rest.into()
    })
}

/// The recipients of a file, and the file without its values. None if it needs other keys than age.
fn envelope(metadata: &Value) -> Option<(BTreeSet<String>, Option<Vec<u8>>)> {
    let of = |group: &Value| -> Vec<Value> { group["age"].as_array().cloned().unwrap_or_default() };
    let groups: Vec<Value> = metadata["key_groups"].as_array().cloned().unwrap_or_default();
    let all: Vec<Value> = if groups.is_empty() { of(metadata) } else { groups.iter().flat_map(of).collect() };
    let recipients: BTreeSet<String> =
        all.iter().filter_map(|one| Some(one["recipient"].as_str()?.to_owned())).collect();
    if recipients.is_empty() {
        return None;
    }
    let mut sops = json!({});
    for field in ["lastmodified", "mac", "version"] {
        if let Some(value) = metadata.get(field) {
            sops[field] = value.clone();
        }
    }
    if groups.is_empty() {
        sops["age"] = all.into();
    } else {
        // With several groups, a threshold must be reached: groups with only other keys cannot be tried here.
        if groups.iter().any(|group| of(group).is_empty()) {
            return Some((recipients, None));
        }
        sops["key_groups"] = groups.iter().map(|group| json!({"age": of(group)})).collect();
        if let Some(threshold) = metadata.get("shamir_threshold") {
            sops["shamir_threshold"] = threshold.clone();
        }
    }
    Some((recipients, serde_json::to_vec(&json!({"sops": sops})).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_are_known_in_every_format_and_no_value_is_left() {
        let yaml = "a: ENC[x]\nsops:\n  kms: []\n  age:\n  - recipient: age1a\n    enc: |\n      -----BEGIN\n  - {recipient: age1b, enc: y}\n  mac: ENC[z]\n  version: 3.13.2\n";
        let dotenv = "a=ENC[x]\nsops_age__list_0__map_enc=-----BEGIN\\nX\nsops_age__list_0__map_recipient=age1a\nsops_age__list_1__map_recipient=age1b\nsops_mac=ENC[z]\n";
        let ini = "[s]\na = ENC[x]\n[sops]\nage__list_0__map_recipient = age1a\nage__list_1__map_recipient = age1b\n";
        let groups = "a: ENC[x]\nsops: {shamir_threshold: 2, key_groups: [{age: [{recipient: age1a}]}, {age: [{recipient: age1b}]}]}";
        for text in [yaml, dotenv, ini, groups] {
            let (recipients, left) = envelope(&metadata(text).unwrap()).unwrap();
            assert_eq!(recipients.into_iter().collect::<Vec<_>>(), ["age1a", "age1b"], "{text}");
            let left = String::from_utf8(left.unwrap()).unwrap();
            assert!(!left.contains("ENC[x]"), "{left}");
        }
        let dotenv: Value =
            serde_json::from_slice(&envelope(&metadata(dotenv).unwrap()).unwrap().1.unwrap()).unwrap();
        assert_eq!(dotenv["sops"]["age"][0]["enc"], "-----BEGIN\nX");
    }

    #[test]
    fn what_no_age_key_opens_is_not_tried() {
        let others = "a: ENC[x]\nsops: {pgp: [{fp: A}], kms: [{arn: x}]}";
        assert!(envelope(&metadata(others).unwrap()).is_none());
        let mixed = "a: ENC[x]\nsops: {key_groups: [{age: [{recipient: age1a}]}, {kms: [{arn: x}]}]}";
        assert!(envelope(&metadata(mixed).unwrap()).unwrap().1.is_none());
        assert!(metadata("a: b").is_none());
    }
}
