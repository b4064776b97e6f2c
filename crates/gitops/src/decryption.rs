//! What a Flux Kustomization decrypts: objects, values of Secrets, and the files of secret generators
//! (`internal/decryptor` of kustomize-controller v1.9.6), if keys are available.
//!
//! Plaintext is kept in memory only: no build that needed a key is cached on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::join_all;
use serde_json::Value;

use super::ciphertext::{format_of, format_within, has_mark, is_encrypted, is_secret, is_whole, unfolded};
use super::documents::{Document, Encrypted, normal};
use super::gather::Others;
use super::layout::find_kustomization;
use super::sources::Sources;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::files;
use bootstrapper_core::masking;
use bootstrapper_core::object::Object;
use bootstrapper_core::yaml;
use bootstrapper_tools::{Environment, Sops, SopsFormat, age_key_files};

/// How a Kustomization decrypts.
#[derive(Debug)]
pub(super) struct Decryption {
    sops: Result<Sops>,
    keys: String,
    with_own_keys: bool,
}

impl Decryption {
    /// The `spec.decryption` of a Kustomization; none if it decrypts nothing. Uses the keys of its Secret, if
    /// known, and the user's own if approved.
    pub(super) fn of(
        kustomization: &Object,
        sources: &Sources,
        environment: &Environment,
        with_own_keys: bool,
    ) -> Option<Self> {
        let decryption = &kustomization.data["spec"]["decryption"];
        (decryption["provider"] == "sops").then_some(())?;
        let namespace = kustomization.metadata.namespace.as_deref().unwrap_or_default();
        let secret = decryption["secretRef"]["name"].as_str();
        let secret = secret.and_then(|name| sources.get("Secret", namespace, name));
        let entries = || secret.iter().flat_map(|secret| &secret.data);
        let keys: Vec<&str> = entries()
            .filter(|(name, value)| name.ends_with(".agekey") && value.contains("AGE-"))
            .map(|(_, value)| value.as_str())
            .collect();
        let keys = keys.join("\n");
        let others = entries().filter_map(|(name, _)| other_key(name)).collect::<Vec<_>>();
        Some(Self::with(keys, &others, environment, with_own_keys))
    }

    /// With these age keys, and the user's own if approved. `others` are keys that only Flux uses.
    pub(super) fn with(
        keys: String,
        others: &[String],
        environment: &Environment,
        with_own_keys: bool,
    ) -> Self {
        let sops = if keys.is_empty() && !with_own_keys {
            Err(Failure::input("decryption failed")
                .because("decryption is not approved for this repository")
                .hint("review and approve the repository's requests with `bootstrapper trust`")
                .hint("or declare the Secret of the key under `secrets` in bootstrapper.yaml"))
        } else if keys.is_empty() && !has_own_key() {
            let failure = Failure::input("decryption failed").because("no age key found");
            Err(others
                .iter()
                .fold(failure, Failure::because)
                .hint("set SOPS_AGE_KEY_FILE, or declare its Secret under `secrets` in bootstrapper.yaml"))
        } else {
            Sops::find(environment)
        };
        Self { sops, keys, with_own_keys }
    }

    /// Decrypts what was built; what cannot be decrypted is unchanged, with the reason. `unseen` is why
    /// kustomize did not get decrypted sources, if it did not.
    pub(super) async fn all(
        &self,
        documents: Arc<Vec<Document>>,
        unseen: Option<&Failure>,
    ) -> Arc<Vec<Document>> {
        let decrypted =
            join_all(documents.iter().map(async |document| match self.document(document).await {
                Ok(None) if is_encrypted(&document.object) => unseen.cloned().map_or(Ok(None), Err),
                decrypted => decrypted,
            }));
        let decrypted = decrypted.await;
        if decrypted.iter().all(|one| matches!(one, Ok(None))) {
            return documents;
        }
        let both = documents.iter().zip(decrypted);
        let all = both.map(|(document, decrypted)| match decrypted {
            Ok(Some(plain)) => plain,
            Ok(None) => document.clone(),
            Err(failure) => Document { undecrypted: Some(failure), ..document.clone() },
        });
        Arc::new(all.collect())
    }

    /// The decrypted document; none if nothing in it is encrypted.
    async fn document(&self, document: &Document) -> Result<Option<Document>> {
        let object = &document.object;
        if is_left_encrypted(object) {
            return Ok(None);
        }
        if is_whole(object) {
            let json = serde_json::to_vec(object)
                .map_err(|error| Failure::internal("cannot serialize an object").caused_by(&error))?;
            let plain = self.content(json, SopsFormat::Json, SopsFormat::Yaml).await?;
            return self::document(plain, document).map(Some);
        }
        let Some(values) = object.data["data"].as_object().filter(|_| is_secret(object)) else {
            return Ok(None);
        };
        let mut plain = object.clone();
        let mut is_any = false;
        for (key, value) in values {
            let Some(bytes) = unfolded(value) else { continue };
            let to = format_of(Path::new(key));
            let Some(from) = format_within(&bytes, to) else { continue };
            plain.data["data"][key] = STANDARD.encode(self.content(bytes, from, to).await?).into();
            is_any = true;
        }
        if !is_any {
            return Ok(None);
        }
        let text = serde_json::to_vec(&plain)
            .map_err(|error| Failure::internal("cannot serialize an object").caused_by(&error))?;
        self::document(text, document).map(Some)
    }

    /// The encrypted files that kustomize needs in decrypted form: those of secret generators, and patches.
    pub(super) async fn sources(&self, folder: &Path, components: &Value, root: &Path) -> Result<Others> {
        let mut decrypted = Others::new();
        for (file, format) in sources_of(folder, components, root) {
            let Ok(content) = files::read(root, &file) else { continue };
            if !has_mark(&content, format) {
                continue;
            }
            let name = file;
            let plain = self.content(content, format, format).await.map_err(|failure| Failure {
                what: format!("cannot decrypt {}", name.display()),
                ..failure
            })?;
            decrypted.insert(name, plain);
        }
        Ok(decrypted)
    }

    async fn content(&self, content: Vec<u8>, from: SopsFormat, to: SopsFormat) -> Result<Vec<u8>> {
        let sops = self.sops.as_ref().map_err(Clone::clone)?;
        let plain = sops.decrypt_content(content.clone(), (from, to), &self.keys, self.with_own_keys).await?;
        mark_decrypted(&content, &plain);
        Ok(plain)
    }
}

/// The files of secret generators, and patches: of a folder, of its components, and of what they reference.
pub(super) fn sources_of(folder: &Path, components: &Value, root: &Path) -> BTreeMap<PathBuf, SopsFormat> {
    let mut search = Search { root, seen: BTreeSet::new(), found: BTreeMap::new() };
    search.folder(folder);
    for component in components.as_array().into_iter().flatten().filter_map(Value::as_str) {
        search.folder(&folder.join(component));
    }
    search.found
}

/// Masks what was encrypted: the encrypted values of a document, or the whole content of other files.
fn mark_decrypted(encrypted: &[u8], plain: &[u8]) {
    let read = |content: &[u8]| {
        let text = String::from_utf8_lossy(content);
        yaml::values_from_str(&text, Path::new("it")).ok().filter(Value::is_object)
    };
    match (read(encrypted), read(plain)) {
        (Some(encrypted), Some(plain)) => mark_values(&encrypted, &plain),
        _ => masking::mark_bytes(plain),
    }
}

fn mark_values(encrypted: &Value, plain: &Value) {
    match (encrypted, plain) {
        (Value::Object(fields), Value::Object(_)) => {
            fields.iter().for_each(|(name, encrypted)| mark_values(encrypted, &plain[name]));
        }
        (Value::Array(items), Value::Array(plain)) => {
            items.iter().zip(plain).for_each(|(encrypted, plain)| mark_values(encrypted, plain));
        }
        (Value::String(text), plain) if text.starts_with("ENC[") => match plain {
            Value::String(plain) => {
                masking::mark(plain);
                if let Some(bytes) = unfolded(&Value::String(plain.clone())) {
                    masking::mark_bytes(&bytes);
                }
            }
            plain => masking::mark(&plain.to_string()),
        },
        _ => {}
    }
}

/// A key that Flux uses and this program does not: an entry of the Secret in `spec.decryption`.
fn other_key(entry: &str) -> Option<String> {
    let kind = match entry {
        _ if Path::new(entry).extension().is_some_and(|kind| kind == "asc") => {
            "a PGP key, which requires a keyring"
        }
        "sops.aws-kms" | "sops.azure-kv" | "sops.gcp-kms" => {
            "a cloud KMS key, which requires a cloud identity"
        }
        "sops.vault-token" => "a Vault key, which requires a Vault login",
        _ => return None,
    };
    Some(format!("{entry} is {kind}: only Flux supports it"))
}

/// Whether sops has a key of its own, apart from the repository's: without one sops is not run, because there
/// may be many files.
fn has_own_key() -> bool {
    let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let named = ["SOPS_AGE_KEY", "SOPS_AGE_KEY_FILE", "SOPS_AGE_KEY_CMD"];
    named.iter().any(is_set) || age_key_files().iter().any(|file| file.is_file())
}

pub(super) fn is_left_encrypted(object: &Object) -> bool {
    let annotations = object.metadata.annotations.as_ref();
    let decrypt = annotations.and_then(|all| all.get("kustomize.toolkit.fluxcd.io/decrypt"));
    decrypt.is_some_and(|decrypt| decrypt.eq_ignore_ascii_case("disabled"))
}

fn document(plain: Vec<u8>, of: &Document) -> Result<Document> {
    let unreadable = || Failure::input("the decrypted content is not a Kubernetes object");
    let text = String::from_utf8(plain).map_err(|_| unreadable())?;
    // A YAML error would contain the content.
    let object = yaml::from_str(&text, Path::new("it")).map_err(|_| unreadable())?;
    let encrypted = Some(Encrypted::Known(Box::new(of.clone())));
    Ok(Document { text, object, file: of.file.clone(), undecrypted: None, encrypted })
}

/// A search through the kustomizations of a folder for the files of secret generators.
struct Search<'a> {
    root: &'a Path,
    seen: BTreeSet<PathBuf>,
    found: BTreeMap<PathBuf, SopsFormat>,
}

impl Search<'_> {
    fn folder(&mut self, folder: &Path) {
        let folder = normal(folder);
        if !self.seen.insert(folder.clone()) {
            return;
        }
        let Some(file) = find_kustomization(self.root, &folder) else { return };
        let Ok(text) = files::read_text(self.root, &file) else { return };
        if yaml::excess(&text).is_some() {
            return;
        }
        let Ok(kustomization) = yaml::from_str::<Value>(&text, &file) else { return };
        let items = |list: &Value| list.as_array().cloned().unwrap_or_default();
        for generator in items(&kustomization["secretGenerator"]) {
            for source in items(&generator["files"]).iter().filter_map(Value::as_str) {
                let (key, path) = source.split_once('=').unwrap_or((source, source));
                self.add(&folder, path, format_of(Path::new(key)));
            }
            let env = generator["env"].as_str().map(str::to_owned);
            let envs = items(&generator["envs"]).into_iter().filter_map(|one| Some(one.as_str()?.to_owned()));
            for path in envs.chain(env) {
                let format = match format_of(Path::new(&path)) {
                    SopsFormat::Binary => SopsFormat::Dotenv,
                    other => other,
                };
                self.add(&folder, &path, format);
            }
        }
        for patch in items(&kustomization["patches"]) {
            if let Some(path) = patch["path"].as_str().filter(|path| !path.contains("://")) {
                self.add(&folder, path, format_of(Path::new(path)));
            }
        }
        for field in ["resources", "components"] {
            for path in items(&kustomization[field]).iter().filter_map(Value::as_str) {
                self.folder(&folder.join(path));
            }
        }
    }

    fn add(&mut self, folder: &Path, path: &str, format: SopsFormat) {
        let file = normal(&folder.join(path));
        if files::is_file(self.root, &file) {
            self.found.entry(file).or_insert(format);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_only_flux_uses_are_reported() {
        for (entry, told) in [("a.asc", "PGP"), ("sops.aws-kms", "cloud"), ("sops.vault-token", "Vault")] {
            assert!(other_key(entry).is_some_and(|why| why.contains(told) && why.contains(entry)), "{entry}");
        }
        assert_eq!(other_key("identity.agekey"), None);
    }
}
