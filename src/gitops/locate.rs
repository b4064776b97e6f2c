//! Where in the repository something is written.

use std::path::Path;

use walkdir::{DirEntry, WalkDir};

use crate::failure::Location;

/// The first place under `folder` that holds `text`, in the order of file names. The file is told
/// relative to `root`.
pub(super) fn locate(root: &Path, folder: &Path, text: &str) -> Option<Location> {
    let files = WalkDir::new(folder).sort_by_file_name().into_iter().filter_entry(|entry| !is_hidden(entry));
    files.filter_map(Result::ok).filter(|entry| entry.file_type().is_file()).find_map(|entry| {
        let content = std::fs::read_to_string(entry.path()).ok()?;
        within(&content, text).map(|(line, column)| Location {
            file: entry.path().strip_prefix(root).unwrap_or(entry.path()).to_owned(),
            line,
            column,
        })
    })
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with('.')
}

/// Line and column, from 1, of the first place that holds `text`.
pub(super) fn within(content: &str, text: &str) -> Option<(usize, usize)> {
    let at = content.find(text)?;
    let line = content[..at].matches('\n').count() + 1;
    let column = content[..at].rsplit('\n').next().map_or(0, |before| before.chars().count()) + 1;
    Some((line, column))
}
