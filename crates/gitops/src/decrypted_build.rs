//! Builds a folder, decrypted as Flux decrypts it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::build;
use super::decryption::Decryption;
use super::documents::{Document, Encrypted};
use super::problem::Problem;
use super::recipe::Recipe;
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::ObjectRef;
use bootstrapper_tools::Kustomize;

/// Builds a recipe, decrypted. What cannot be decrypted is unchanged, with the reason. `encrypted` builds it
/// without decryption.
pub(super) async fn decrypted(
    recipe: &Recipe,
    decryption: &Decryption,
    (root, kustomize): (&Path, &Kustomize),
    encrypted: impl AsyncFn() -> Result<Arc<Vec<Document>>, Problem>,
) -> Result<Arc<Vec<Document>>, Problem> {
    let sources = decryption.sources(&recipe.folder, &recipe.added()["components"], root).await;
    // If sources cannot be decrypted, the build uses them as they are, and the affected values are unknown.
    let (plain, unseen) = sources.map_or_else(|why| (BTreeMap::new(), Some(why)), |plain| (plain, None));
    let built = if plain.is_empty() {
        encrypted().await?
    } else {
        // Contains plaintext: neither shared nor cached.
        let built = build::run_with(recipe, root, kustomize, &plain).await?;
        Arc::new(compared(built, encrypted().await.ok().as_deref()))
    };
    Ok(decryption.all(built, unseen.as_ref()).await)
}

/// Documents that contain decrypted files, each with its encrypted form.
fn compared(documents: Vec<Document>, encrypted: Option<&Vec<Document>>) -> Vec<Document> {
    let without = |document: &Document| {
        let id = ObjectRef::of(&document.object);
        encrypted.and_then(|all| all.iter().find(|other| ObjectRef::of(&other.object) == id))
    };
    let of = |document: Document| match without(&document) {
        Some(other) if other.text == document.text => document,
        Some(other) => {
            let encrypted = Some(Encrypted::Known(Box::new(other.clone())));
            Document { encrypted, ..document }
        }
        None => Document { encrypted: Some(Encrypted::Unknown), ..document },
    };
    documents.into_iter().map(of).collect()
}
