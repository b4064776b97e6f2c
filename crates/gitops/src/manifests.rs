//! A folder or file of the repository that a step applies: built and decrypted as Flux would.

use std::path::Path;
use std::sync::Arc;

use secrecy::ExposeSecret;
use serde_json::json;
use walkdir::WalkDir;

use super::build;
use super::ciphertext::{format_of, has_mark, is_encrypted};
use super::decrypted_build::decrypted;
use super::decryption::Decryption;
use super::documents::Document;
use super::recipe::Recipe;
use super::repository::Repository;
use super::sources::{SecretValue, SecretValues};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::files;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_tools::Kustomize;

/// An object of a folder or file, as built.
#[derive(Debug, Clone)]
pub struct BuiltObject {
    /// Its text, in which settings will be substituted.
    pub text: String,
    /// The object before substitution.
    pub object: Object,
    /// Why it is still encrypted, if it is.
    pub undecrypted: Option<Failure>,
}

/// The maximum number of files that are checked for encryption.
const FILES: usize = 50_000;

impl Repository {
    /// Builds a folder or file of the repository. Decrypts with the age keys that the bootstrap seeds, and with
    /// the user's own if approved.
    pub async fn manifests(
        &self,
        path: &Path,
        namespace: Option<&str>,
        kustomize: &Kustomize,
        (secrets, with_own_keys): (&SecretValues, bool),
    ) -> Result<Vec<BuiltObject>> {
        let environment = kustomize.environment();
        let decryption = Decryption::with(age_keys(secrets), &[], environment, with_own_keys);
        let built = if files::is_folder(&self.root, path) {
            let added =
                namespace.map_or_else(|| json!({}), |namespace| json!({"targetNamespace": namespace}));
            let recipe = Recipe { added: added.to_string(), ..Recipe::plain(path) };
            let as_it_is = async || self.builds.get(&recipe, &self.root, kustomize).await;
            decrypted(&recipe, &decryption, (&self.root, kustomize), as_it_is).await
        } else {
            match build::file(path, namespace, &self.root, kustomize).await {
                Ok(documents) => Ok(decryption.all(Arc::new(documents), None).await),
                Err(problem) => Err(problem),
            }
        };
        let documents = built.map_err(|problem| problem.failure)?;
        Ok(documents.iter().map(built_object).collect())
    }

    /// Whether a folder or file of the repository contains anything encrypted by SOPS.
    pub fn holds_encrypted(&self, path: &Path) -> bool {
        holds_encrypted(&self.root, path)
    }
}

fn built_object(document: &Document) -> BuiltObject {
    let unexplained = || {
        let failure = Failure::input(format!("{} is encrypted", ObjectRef::of(&document.object)));
        is_encrypted(&document.object).then_some(failure)
    };
    BuiltObject {
        text: document.text.clone(),
        object: document.object.clone(),
        undecrypted: document.undecrypted.clone().or_else(unexplained),
    }
}

/// Every age key among the seeded secrets, as used by Flux for decryption.
fn age_keys(secrets: &SecretValues) -> String {
    let all = secrets.values().flatten().filter(|(key, _)| key.ends_with(".agekey"));
    let known = all.filter_map(|(_, value)| SecretValue::known(value));
    let keys = known.map(ExposeSecret::expose_secret).filter(|value| value.contains("AGE-"));
    keys.collect::<Vec<_>>().join("\n")
}

/// Whether a folder or file contains anything encrypted by SOPS.
pub(crate) fn holds_encrypted(root: &Path, path: &Path) -> bool {
    let Ok(found) = files::find(root, path) else { return false };
    let all = WalkDir::new(root.join(found.path)).into_iter().filter_map(Result::ok).take(FILES);
    let mut files = all.filter(|entry| entry.file_type().is_file());
    files.any(|entry| {
        let Ok(within) = entry.path().strip_prefix(root) else { return false };
        let format = format_of(within);
        files::read(root, within).is_ok_and(|content| has_mark(&content, format))
    })
}
