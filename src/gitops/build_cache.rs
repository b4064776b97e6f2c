//! What was built, kept for as long as every file that the build read stays the same.
//!
//! A run that finds nothing to do should neither wait for two dozen downloads nor need the
//! internet. See `docs/design/build-cache.md`.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::NamedTempFile;

use super::build::{self, Recipe};
use super::closure;
use super::documents::Document;
use crate::digest::sha256;
use crate::failure::Result;
use crate::tools::{Kustomize, cache_folder};

/// How many builds are kept; those that were not wanted for longest go first.
const KEPT: usize = 256;

/// What is kept changes with the program that keeps it.
const FORMAT: &str = concat!("1 ", env!("CARGO_PKG_VERSION"));

/// Builds, or takes what was built from the same files before.
pub(super) async fn build(recipe: &Recipe, root: &Path, kustomize: &Kustomize) -> Result<Vec<Document>> {
    let Some(kept) = place(recipe, root, kustomize) else { return build::run(recipe, root, kustomize).await };
    if let Some(built) = take(&kept) {
        return Ok(built);
    }
    let built = build::run(recipe, root, kustomize).await?;
    // Somebody may have written a file meanwhile.
    if place(recipe, root, kustomize).as_ref() == Some(&kept)
        && let Err(error) = keep(&kept, &built)
    {
        tracing::debug!(%error, "a build could not be kept");
    }
    Ok(built)
}

/// Where the build is kept; none if it may not be.
fn place(recipe: &Recipe, root: &Path, kustomize: &Kustomize) -> Option<PathBuf> {
    let files = closure::files(recipe, root)?;
    let head = format!("{FORMAT}\0{}\0{}\0{}", kustomize.identity(), recipe.folder.display(), recipe.added());
    let mut contents = head.into_bytes();
    for (name, content) in files {
        contents.extend(format!("\0{}\0{}\0", name.display(), content.len()).into_bytes());
        contents.extend(content);
    }
    Some(cache_folder()?.join("builds").join(format!("{}.json", sha256(contents))))
}

fn take(place: &Path) -> Option<Vec<Document>> {
    let built = serde_json::from_slice(&fs::read(place).ok()?).ok()?;
    // Without it, only what was built lately would be kept.
    let _ = File::open(place).and_then(|file| file.set_modified(SystemTime::now()));
    Some(built)
}

fn keep(place: &Path, built: &[Document]) -> io::Result<()> {
    let folder = place.parent().unwrap_or(place);
    fs::create_dir_all(folder)?;
    // Whole or not at all: another run may read at this moment.
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec(built)?)?;
    file.persist(place)?;
    forget_the_oldest(folder)
}

fn forget_the_oldest(folder: &Path) -> io::Result<()> {
    let mut builds: Vec<_> = fs::read_dir(folder)?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
        })
        .collect();
    builds.sort();
    let surplus = builds.len().saturating_sub(KEPT);
    builds[..surplus].iter().try_for_each(|(_, build)| fs::remove_file(build))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_builds_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let place = |number: usize| folder.path().join(format!("{number}.json"));
        for number in 0..KEPT + 3 {
            keep(&place(number), &[]).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), KEPT);
        assert!(take(&place(KEPT + 2)).is_some_and(|built| built.is_empty()));
    }
}
