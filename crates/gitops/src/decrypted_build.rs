//! What a folder builds to, decrypted as Flux decrypts it.

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

/// What a recipe builds to, decrypted. What cannot be decrypted is as it was, and says why. `encrypted` builds it
/// as it is.
pub(super) async fn decrypted(
    recipe: &Recipe,
    decryption: &Decryption,
    (root, kustomize): (&Path, &Kustomize),
    encrypted: impl AsyncFn() -> Result<Arc<Vec<Document>>, Problem>,
) -> Result<Arc<Vec<Document>>, Problem> {
    let sources = decryption.sources(&recipe.folder, &recipe.added()["components"], root).await;
    // What cannot be decrypted is built as it is, and what holds it stays unknown.
    let (plain, unseen) = sources.map_or_else(|why| (BTreeMap::new(), Some(why)), |plain| (plain, None));
    let built = if plain.is_empty() {
        encrypted().await?
    } else {
        // Plaintext is in it: it is neither shared nor kept.
        let built = build::run_with(recipe, root, kustomize, &plain).await?;
        Arc::new(compared(built, encrypted().await.ok().as_deref()))
    };
    Ok(decryption.all(built, unseen.as_ref()).await)
}

/// Documents that decrypted files went into, each with what it would be without.
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
