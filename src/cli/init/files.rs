//! The files of a repository's existing bootstrap, and with its secrets.

use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use bootstrapper_core::files::read_text;
use bootstrapper_core::yaml;
use bootstrapper_validation::init::{KnownFile, is_mise};

/// The maximum number of files and folders to read, and the maximum size of a file.
const ENTRIES: usize = 50_000;
const LARGEST: u64 = 512 * 1024;

/// Folders without the user's own files.
const LEFT_OUT: [&str; 5] = [".git", "node_modules", ".venv", "target", ".terraform"];

/// Every such file, sorted by path.
pub(super) fn of(root: &Path) -> Vec<KnownFile> {
    let is_looked_into =
        |entry: &DirEntry| !LEFT_OUT.iter().any(|name| entry.file_name().to_string_lossy() == *name);
    let entries = WalkDir::new(root).sort_by_file_name().into_iter().filter_entry(is_looked_into);
    let files = entries.filter_map(Result::ok).take(ENTRIES).filter(|entry| {
        entry.file_type().is_file() && entry.metadata().is_ok_and(|metadata| metadata.len() <= LARGEST)
    });
    let paths: Vec<PathBuf> =
        files.filter_map(|entry| Some(entry.path().strip_prefix(root).ok()?.to_owned())).collect();
    paths.into_iter().filter(|path| may_matter(path)).filter_map(|path| known(root, path)).collect()
}

fn may_matter(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let extension = name.rsplit('.').next().unwrap_or_default();
    let is_text = ["yaml", "yml", "j2", "tpl", "tmpl", "gotmpl", "just", "sh", "bash", "agekey", "key"];
    is_text.contains(&extension)
        || matches!(name.as_str(), "justfile" | ".justfile")
        || is_mise(path)
        || (name.contains("age") && extension == "txt")
}

fn known(root: &Path, path: PathBuf) -> Option<KnownFile> {
    let text = read_text(root, &path).ok()?;
    // A template that is not valid YAML is searched as text.
    let documents = yaml::from_multiple(&text, &path).unwrap_or_default();
    Some(KnownFile { path, text, documents })
}
