//! The cache of builds, valid while every file that a build read is unchanged.
//!
//! A run without changes should neither wait for two dozen downloads nor need the internet. See
//! `docs/design/build-cache.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::build;
use super::documents::Document;
use super::gather::{Gathered, Others};
use super::kept;
use super::pin::Pin;
use super::problem::Problem;
use super::recipe::{Recipe, gathered};
use bootstrapper_core::failure::Location;
use bootstrapper_tools::Kustomize;

/// The unverified downloads of a build: URL and location.
pub(super) type Unverified = BTreeMap<String, Option<Location>>;

/// Builds, or returns the cached build of the same files; and its unverified downloads.
pub(super) async fn build(
    recipe: &Recipe,
    root: &Path,
    kustomize: &Kustomize,
) -> (Result<Vec<Document>, Problem>, Unverified) {
    let Ok((gathered, _)) = gathered(recipe, root, &Others::new()) else {
        return (build::run(recipe, root, kustomize).await, Unverified::new());
    };
    let remotes = gathered.remotes.iter().filter(|(remote, _)| !remote.has_commit());
    let unverified = remotes.map(|(remote, place)| (remote.url().to_owned(), place.clone())).collect();
    let place = place_of(gathered, recipe, kustomize);
    (build_to(place, recipe, root, kustomize).await, unverified)
}

async fn build_to(
    place: Option<PathBuf>,
    recipe: &Recipe,
    root: &Path,
    kustomize: &Kustomize,
) -> Result<Vec<Document>, Problem> {
    let Some(place) = place else {
        return build::run(recipe, root, kustomize).await;
    };
    if let Some(built) = kept::take(&place) {
        return Ok(built);
    }
    let built = build::run(recipe, root, kustomize).await?;
    // A file may have changed during the build.
    let again = gathered(recipe, root, &Others::new()).ok();
    if again.and_then(|(gathered, _)| place_of(gathered, recipe, kustomize)).as_ref() == Some(&place) {
        kept::keep(&place, &built);
    }
    Ok(built)
}

/// The same for another repository at a commit. A cached build needs no network.
pub(super) async fn pinned(
    recipe: &Recipe,
    pin: &Pin,
    kustomize: &Kustomize,
) -> Result<Vec<Document>, Problem> {
    let served = kustomize.environment().served_commit(&pin.commit);
    let (folder, added) = (recipe.folder.display(), recipe.added());
    let contents = format!("{}\0{}\0{served}\0{folder}\0{added}", kustomize.identity(), pin.url);
    let place = kept::place("builds", contents.as_bytes());
    if let Some(built) = place.as_deref().and_then(kept::take) {
        return Ok(built);
    }
    let built = pin.build(recipe, kustomize).await?;
    if let Some(place) = &place {
        kept::keep(place, &built);
    }
    Ok(built)
}

/// The build's place in the cache; none if it may not be cached.
fn place_of(gathered: Gathered, recipe: &Recipe, kustomize: &Kustomize) -> Option<PathBuf> {
    gathered.is_repeatable.then_some(())?;
    let head = format!("{}\0{}\0{}", kustomize.identity(), recipe.folder.display(), recipe.added());
    let mut contents = head.into_bytes();
    for (name, content) in gathered.files {
        contents.extend(format!("\0{}\0{}\0", name.display(), content.len()).into_bytes());
        contents.extend(content);
    }
    kept::place("builds", &contents)
}
