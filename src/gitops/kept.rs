//! What is kept between runs in the user's cache: whole files, the ones wanted last of each kind.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::NamedTempFile;

use crate::digest::sha256;
use crate::tools::cache_folder;

/// How many of a kind are kept; those that were not wanted for longest go first.
const KEPT: usize = 256;

/// What is kept changes with the program that keeps it.
const FORMAT: &str = concat!("3 ", env!("CARGO_PKG_VERSION"));

/// Where what `contents` lead to is kept, among others of its kind; none if there is no cache.
pub(super) fn place(kind: &str, contents: &[u8]) -> Option<PathBuf> {
    let name = sha256([FORMAT.as_bytes(), b"\0", contents].concat());
    Some(cache_folder()?.join(kind).join(format!("{name}.json")))
}

/// What is kept there, if anything is.
pub(super) fn take<T: DeserializeOwned>(place: &Path) -> Option<T> {
    let kept = serde_json::from_slice(&fs::read(place).ok()?).ok()?;
    // Without it, only what was made lately would be kept.
    let _ = File::open(place).and_then(|file| file.set_modified(SystemTime::now()));
    Some(kept)
}

/// Keeps a value. That it cannot be kept is no failure: it will be made again.
pub(super) fn keep(place: &Path, value: &impl Serialize) {
    if let Err(error) = write(place, value) {
        tracing::debug!(%error, place = %place.display(), "it could not be kept");
    }
}

fn write(place: &Path, value: &impl Serialize) -> io::Result<()> {
    let folder = place.parent().unwrap_or(place);
    fs::create_dir_all(folder)?;
    // Whole or not at all: another run may read at this moment.
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    file.persist(place)?;
    forget_the_oldest(folder)
}

fn forget_the_oldest(folder: &Path) -> io::Result<()> {
    let mut all: Vec<_> = fs::read_dir(folder)?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.metadata().ok()?.modified().ok()?, entry.path()))
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
