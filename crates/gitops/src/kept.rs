//! The user's cache: whole files, the most recently used of each kind.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;

use bootstrapper_core::digest::sha256;
use bootstrapper_core::masking::masked_in_passing;
use bootstrapper_core::private;
use bootstrapper_tools::cache_folder;

/// How many entries of a kind are kept; the least recently used are deleted.
const KEPT: usize = 256;

/// The format version of the cache.
const FORMAT: &str = concat!("3 ", env!("CARGO_PKG_VERSION"));

/// The place of the result for `contents` in the cache; none without a cache, or if they contain a secret
/// value: the result may contain it, and the digest would confirm a guess.
pub(super) fn place(kind: &str, contents: &[u8]) -> Option<PathBuf> {
    if matches!(masked_in_passing(&String::from_utf8_lossy(contents)), Cow::Owned(_)) {
        return None;
    }
    let name = sha256([FORMAT.as_bytes(), b"\0", contents].concat());
    let cache = cache_folder()?;
    if let Err(error) = private::secure(&cache) {
        tracing::warn!(%error, "cache disabled");
        return None;
    }
    Some(cache.join(kind).join(format!("{name}.json")))
}

/// The cached value, if there is one.
pub(super) fn take<T: DeserializeOwned>(place: &Path) -> Option<T> {
    let kept = serde_json::from_slice(&fs::read(place).ok()?).ok()?;
    // Marks it as recently used.
    let _ = File::open(place).and_then(|file| file.set_modified(SystemTime::now()));
    Some(kept)
}

/// Caches a value. A failure is ignored: the value can be computed again.
pub(super) fn keep(place: &Path, value: &impl Serialize) {
    if let Err(error) = write(place, value) {
        tracing::debug!(%error, place = %place.display(), "cannot write to the cache");
    }
}

fn write(place: &Path, value: &impl Serialize) -> io::Result<()> {
    let folder = place.parent().unwrap_or(place);
    private::secure(folder)?;
    // Another run may be reading.
    private::replace(place, &serde_json::to_vec(value)?)?;
    forget_the_oldest(folder)
}

fn forget_the_oldest(folder: &Path) -> io::Result<()> {
    let mut all: Vec<_> = fs::read_dir(folder)?
        .filter_map(|entry| {
            let (path, metadata) = (entry.as_ref().ok()?.path(), entry.ok()?.metadata().ok()?);
            // Other runs write in their own temporary folder.
            metadata.is_file().then_some((metadata.modified().ok()?, path))
        })
        .collect();
    all.sort();
    let surplus = all.len().saturating_sub(KEPT);
    all[..surplus].iter().try_for_each(|(_, oldest)| fs::remove_file(oldest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let place = |number: usize| folder.path().join(format!("{number}.json"));
        for number in 0..KEPT + 3 {
            write(&place(number), &number).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), KEPT);
        assert_eq!(take::<usize>(&place(KEPT + 2)), Some(KEPT + 2));
    }
}
