//! What a folder of fetched manifests built to, kept for as long as the same files stand in it.
//!
//! A run that finds nothing to do should neither wait for two dozen downloads nor need the
//! internet. See `docs/design/build-cache.md`.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};

use serde_json::Value;
use tempfile::NamedTempFile;
use walkdir::WalkDir;

use super::build::is_kustomization_file;
use crate::digest::sha256;
use crate::failure::Result;
use crate::tools::{Kustomize, cache_folder};
use crate::yaml;

/// How many builds are kept; the oldest go first.
const KEPT: usize = 32;

/// Fields of a kustomization whose entries may be addresses.
const ADDRESSES: [&str; 3] = ["resources", "components", "bases"];

/// Builds `folder`, or takes what it built to when the same files stood in it.
pub(super) async fn build(folder: &Path, kustomize: &Kustomize) -> Result<String> {
    let Some(kept) = place(folder, kustomize) else { return kustomize.build(folder).await };
    if let Ok(built) = fs::read_to_string(&kept) {
        return Ok(built);
    }
    let built = kustomize.build(folder).await?;
    if let Err(error) = keep(&kept, &built) {
        tracing::debug!(%error, "a build could not be kept");
    }
    Ok(built)
}

/// Where the build of this folder is kept; none if it may not be, or need not be.
fn place(folder: &Path, kustomize: &Kustomize) -> Option<PathBuf> {
    let mut contents = kustomize.identity().into_bytes();
    let mut fetches = Fetches::Nothing;
    for entry in WalkDir::new(folder).min_depth(1).sort_by_file_name() {
        let entry = entry.ok()?;
        if entry.file_type().is_dir() {
            continue;
        }
        // What a link leads to may lie elsewhere.
        let content = entry.file_type().is_file().then(|| fs::read_to_string(entry.path()).ok())??;
        if is_kustomization_file(entry.path()) {
            let kustomization: Value = yaml::from_str(&content, entry.path()).ok()?;
            fetches = fetches.and(fetches_of(&kustomization, entry.path().parent()?));
        }
        let name = entry.path().strip_prefix(folder).ok()?.to_string_lossy().into_owned();
        contents.extend(format!("\0{name}\0{}\0{content}", content.len()).into_bytes());
    }
    let is_kept = fetches == Fetches::Pinned;
    is_kept.then(|| Some(cache_folder()?.join("builds").join(format!("{}.yaml", sha256(contents)))))?
}

/// What a kustomization reads from outside its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fetches {
    Nothing,
    /// Only addresses that name a version, which always give the same.
    Pinned,
    /// What may change while the folder does not.
    Anything,
}

impl Fetches {
    fn and(self, other: Self) -> Self {
        self.max(other)
    }
}

fn fetches_of(kustomization: &Value, folder: &Path) -> Fetches {
    let fields = kustomization.as_object().into_iter().flatten();
    fields
        .flat_map(|(field, value)| {
            let is_address = ADDRESSES.contains(&field.as_str());
            texts(value).into_iter().map(move |text| fetch_of(text, is_address, folder))
        })
        .fold(Fetches::Nothing, Fetches::and)
}

fn fetch_of(text: &str, is_address: bool, folder: &Path) -> Fetches {
    let path = Path::new(text);
    let is_remote = text.contains("://") || (is_address && !folder.join(path).exists());
    let leads_out = path.is_absolute() || path.components().any(|part| part == Component::ParentDir);
    match (is_remote, leads_out) {
        (true, _) if is_pinned(text) => Fetches::Pinned,
        (true, _) | (_, true) => Fetches::Anything,
        (false, false) => Fetches::Nothing,
    }
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(values) => values.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// Whether an address names a release (`v1.6.3`) or a commit.
fn is_pinned(address: &str) -> bool {
    let is_commit = |part: &str| part.len() == 40 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_release = |part: &str| semver::Version::parse(part.strip_prefix('v').unwrap_or(part)).is_ok();
    address.split(['/', '=', '?', '&', '@']).any(|part| is_commit(part) || is_release(part))
}

fn keep(place: &Path, built: &str) -> io::Result<()> {
    let folder = place.parent().unwrap_or(place);
    fs::create_dir_all(folder)?;
    // Whole or not at all: another run may read at this moment.
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(built.as_bytes())?;
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
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_kustomization_fetches() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("here.yaml"), "").unwrap();
        let table = [
            (json!({"resources": ["here.yaml"]}), Fetches::Nothing),
            (json!({"resources": ["here.yaml", "https://x.test/a/v1.6.3/b.yaml"]}), Fetches::Pinned),
            (json!({"resources": ["github.com/a/b//c?ref=v1.2.3"]}), Fetches::Pinned),
            (
                json!({"components": ["https://x.test/a?ref=0123456789abcdef0123456789abcdef01234567"]}),
                Fetches::Pinned,
            ),
            (json!({"resources": ["https://x.test/a/main/b.yaml"]}), Fetches::Anything),
            (json!({"resources": ["https://x.test/a/v1.6/b.yaml"]}), Fetches::Anything),
            (json!({"resources": ["github.com/a/b//c"]}), Fetches::Anything),
            (json!({"resources": ["https://x.test/v1.0.0/a", "../base"]}), Fetches::Anything),
            (json!({"configMapGenerator": [{"name": "a", "files": ["../a.txt"]}]}), Fetches::Anything),
            (json!({"patches": [{"path": "here.yaml"}], "namespace": "a"}), Fetches::Nothing),
        ];
        for (kustomization, expected) in table {
            assert_eq!(fetches_of(&kustomization, folder.path()), expected, "{kustomization}");
        }
    }

    #[test]
    fn only_the_newest_builds_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let place = |number: usize| folder.path().join(format!("{number}.yaml"));
        for number in 0..KEPT + 3 {
            keep(&place(number), "built").unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), KEPT);
        assert!(place(KEPT + 2).exists());
    }
}
