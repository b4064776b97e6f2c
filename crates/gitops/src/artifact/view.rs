//! A copy of an artifact's files: what an ArtifactGenerator copies from this repository, in a temporary folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use walkdir::WalkDir;

use super::super::ignore::Ignore;
use super::copy::{Copy, layout};
use bootstrapper_core::files;
use bootstrapper_core::private::Folder;
use bootstrapper_core::yaml;

/// Limits for the number of files that are read, and for the bytes that are copied.
const ENTRIES: usize = 100_000;
const BYTES: usize = 256 * 1024 * 1024;

/// The files of an artifact. Deleted when dropped.
#[derive(Debug)]
pub(in super::super) struct View {
    folder: Folder,
    /// The file in the repository that each is a copy of.
    origins: BTreeMap<PathBuf, PathBuf>,
}

impl View {
    /// Copies the files of an artifact. Fails with the reason, in one sentence.
    pub(super) fn make(
        root: &Path,
        base: &Path,
        copies: &[Copy],
        files: &BTreeSet<PathBuf>,
    ) -> Result<Self, String> {
        let laid_out = layout(copies, files)?;
        let folder = Folder::in_memory().map_err(|failure| failure.to_string())?;
        let mut copied = 0;
        let mut origins = BTreeMap::new();
        let left_out = Ignore::default().of_source(None);
        for (to, from) in laid_out.iter().filter(|(to, _)| !left_out.excludes(to)) {
            let content = content(root, base, from)?;
            copied += content.len();
            if copied > BYTES {
                return Err(format!("the artifact is larger than {} MiB", BYTES / 1024 / 1024));
            }
            let place = folder.path().join(to);
            let parent = place.parent().unwrap_or(folder.path());
            let written = fs::create_dir_all(parent).and_then(|()| fs::write(&place, content));
            written.map_err(|error| error.to_string())?;
            if let [one] = from.as_slice() {
                origins.insert(to.clone(), base.join(one));
            }
        }
        Ok(Self { folder, origins })
    }

    /// Its folder, with symbolic links resolved.
    pub(in super::super) fn root(&self) -> std::io::Result<PathBuf> {
        self.folder.path().canonicalize()
    }

    /// The file in the repository that a file of the artifact is a copy of.
    pub(in super::super) fn origin(&self, file: &Path) -> Option<&PathBuf> {
        self.origins.get(file)
    }
}

/// The files of a source, relative to its folder.
pub(super) fn files_of(root: &Path, base: &Path, ignore: &Ignore) -> BTreeSet<PathBuf> {
    let top = root.join(base);
    let entries = WalkDir::new(&top).into_iter().filter_entry(|entry| entry.file_name() != ".git");
    let entries = entries.filter_map(Result::ok).take(ENTRIES);
    let regular = entries.filter(|entry| entry.file_type().is_file());
    let within = regular.filter_map(|entry| Some(entry.path().strip_prefix(&top).ok()?.to_owned()));
    within.filter(|file| !ignore.excludes(&base.join(file))).collect()
}

fn content(root: &Path, base: &Path, from: &[PathBuf]) -> Result<Vec<u8>, String> {
    let read = |file: &PathBuf| {
        files::read_regular(&root.join(base).join(file))
            .map_err(|refusal| format!("{}: {refusal}", file.display()))
    };
    if let [one] = from {
        return read(one);
    }
    let mut merged = Map::new();
    for file in from {
        let text = String::from_utf8(read(file)?).map_err(|_| format!("{} is not UTF-8", file.display()))?;
        let documents: Vec<Value> =
            yaml::from_multiple(&text, file).map_err(|failure| failure.to_string())?;
        for document in documents {
            let Value::Object(fields) = document else { return Err(format!("{} is no map", file.display())) };
            merge(&mut merged, fields);
        }
    }
    Ok(Value::Object(merged).to_string().into_bytes())
}

/// Merges maps, replaces everything else.
fn merge(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Object(own)), Value::Object(fields)) => merge(own, fields),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::copy::Strategy;
    use super::*;

    #[test]
    fn an_artifact_holds_what_is_copied_and_knows_where_it_was() {
        let repository = tempfile::tempdir().unwrap();
        fs::create_dir_all(repository.path().join("k/a")).unwrap();
        fs::write(repository.path().join("k/a/one.yaml"), "x: {a: 1, b: [1]}\n").unwrap();
        fs::write(repository.path().join("k/two.yaml"), "x: {b: [2], c: 3}\n").unwrap();
        let base = Path::new("k");
        let files = files_of(repository.path(), base, &Ignore::default());
        let copy = |from: &str, to: &str, strategy| Copy {
            alias: String::new(),
            from: from.into(),
            to: to.into(),
            exclude: Vec::new(),
            strategy,
        };
        let copies = [
            copy("a/**", "", Strategy::Overwrite),
            copy("a/one.yaml", "values.yaml", Strategy::Overwrite),
            copy("two.yaml", "values.yaml", Strategy::Merge),
        ];
        let view = View::make(repository.path(), base, &copies, &files).unwrap();
        assert_eq!(view.origin(Path::new("one.yaml")).unwrap(), Path::new("k/a/one.yaml"));
        assert_eq!(view.origin(Path::new("values.yaml")), None);
        let merged = fs::read_to_string(view.root().unwrap().join("values.yaml")).unwrap();
        assert_eq!(merged, r#"{"x":{"a":1,"b":[2],"c":3}}"#);
    }
}
