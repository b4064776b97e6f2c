//! Splits a build: one document for each object, with its location.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::fetch::FETCHED;
use super::place::Written;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::masking;
use bootstrapper_core::object::Object;
use bootstrapper_core::yaml;

/// The annotation of kustomize with an object's origin.
const ORIGIN: &str = "config.kubernetes.io/origin";

/// One object, as kustomize built it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Document {
    /// Its text, for substitution.
    pub(super) text: String,
    /// The object before substitution.
    pub(super) object: Object,
    /// The file that declares it; none if it was downloaded.
    pub(super) file: Option<PathBuf>,
    /// Why it is still encrypted, if it is and Flux would decrypt it.
    #[serde(skip)]
    pub(super) undecrypted: Option<Failure>,
    /// Its encrypted form, if it was decrypted.
    #[serde(skip)]
    pub(super) encrypted: Option<Encrypted>,
}

/// The encrypted form of a document.
#[derive(Debug, Clone)]
pub(super) enum Encrypted {
    /// The encrypted document.
    Known(Box<Document>),
    /// Unknown.
    Unknown,
}

impl Document {
    #[cfg(test)]
    pub(super) fn of(text: &str) -> Self {
        document(text, Path::new("/o"), Path::new("/r"), true).unwrap()
    }

    pub(super) fn written(&self) -> Option<Written> {
        let file = self.file.clone()?;
        Some(Written { metadata: metadata(&self.text), ..Written::new(file, &self.object) })
    }
}

/// The documents in the build of `folder`. `has_notes` says that kustomize's annotations are part of them.
pub(super) fn documents(built: &str, folder: &Path, root: &Path, has_notes: bool) -> Result<Vec<Document>> {
    texts(built).map(|text| document(text, folder, root, has_notes)).collect()
}

fn document(text: &str, folder: &Path, root: &Path, has_notes: bool) -> Result<Document> {
    let (bare, origin) = without_origin(text);
    let text = if has_notes { text.to_owned() } else { bare };
    let object = object(&text)?;
    mark(&object);
    let file = origin.and_then(|origin| file_of(&origin, folder, root));
    Ok(Document { text, object, file, undecrypted: None, encrypted: None })
}

/// Masks its secret parts that are in the repository.
fn mark(object: &Object) {
    let Some(types) = &object.types else { return };
    if types.kind == "Secret" {
        masking::mark_secret(object.data["type"].as_str().unwrap_or_default(), &object.data);
    }
    if types.api_version.starts_with("source.toolkit.fluxcd.io/")
        && let Some(address) = object.data["spec"]["url"].as_str()
    {
        masking::mark_address(address);
    }
}

pub(super) fn object(text: &str) -> Result<Object> {
    // Line and column would refer to the built text, which is not a file.
    yaml::from_str(text, Path::new("it")).map_err(|failure| Failure { location: None, ..failure })
}

fn texts(built: &str) -> impl Iterator<Item = &str> {
    built
        .split("\n---\n")
        .map(|document| document.strip_prefix("---\n").unwrap_or(document))
        .filter(|document| !document.trim().is_empty())
}

/// Removes kustomize's annotation from a document. Everything else is unchanged.
fn without_origin(text: &str) -> (String, Option<String>) {
    let mut kept = Vec::new();
    let mut origin: Option<String> = None;
    let (mut in_metadata, mut in_annotations, mut in_origin) = (false, false, false);
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches(' ').len();
        if indent == 0 {
            in_metadata = line.trim_end() == "metadata:";
        }
        if indent <= 2 {
            in_annotations = in_metadata && line.trim_end() == "  annotations:";
        }
        if indent <= 4 {
            in_origin = in_annotations && line.trim_start().starts_with(ORIGIN);
        }
        if !in_origin {
            kept.push(line);
        } else if let Some(origin) = &mut origin {
            origin.push_str(line.trim_start_matches("      "));
        } else {
            origin = Some(String::new());
        }
    }
    if origin.is_some()
        && let Some(at) = kept.iter().position(|line| line.trim_end() == "  annotations:")
        && kept.get(at + 1).is_none_or(|next| !next.starts_with("    "))
    {
        kept.remove(at);
    }
    (kept.concat(), origin)
}

/// The fields of an object's metadata, in kustomize's output.
fn metadata(text: &str) -> Vec<String> {
    let within = text.lines().skip_while(|line| *line != "metadata:").skip(1);
    let within = within.take_while(|line| line.starts_with([' ', '-']));
    let fields = within.filter_map(|line| line.strip_prefix("  ")?.split_once(':'));
    fields
        .filter(|(name, _)| !name.starts_with([' ', '-']))
        .map(|(name, _)| name.trim_matches(['"', '\'']).to_owned())
        .collect()
}

/// The file in an origin annotation, relative to the repository.
fn file_of(origin: &str, folder: &Path, root: &Path) -> Option<PathBuf> {
    let note: BTreeMap<String, serde_json::Value> = yaml::from_str(origin, Path::new(ORIGIN)).ok()?;
    let path = note.get("path").or(note.get("configuredIn"))?.as_str()?;
    // kustomize writes a URL as `http:/x.test/y.yaml`.
    if note.contains_key("repo") || path.contains(":/") {
        return None;
    }
    let file = normal(&folder.join(path));
    let file = file.strip_prefix(root).ok()?;
    (!file.starts_with(FETCHED)).then(|| file.to_owned())
}

/// A path without `..`, lexically.
pub(super) fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut path, component| {
        match component {
            Component::ParentDir => {
                path.pop();
            }
            Component::CurDir => {}
            other => path.push(other),
        }
        path
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTED: &str = "apiVersion: v1\ndata:\n  x: |\n    metadata:\n      annotations:\n        config.kubernetes.io/origin: kept\nkind: ConfigMap\nmetadata:\n  annotations:\n    a: b\n    config.kubernetes.io/origin: |\n      path: ../repo/a/b.yaml\n    z: \"1\"\n  name: a\n";

    #[test]
    fn only_the_origin_annotation_is_removed() {
        let (text, origin) = without_origin(NOTED);
        assert_eq!(origin.as_deref(), Some("path: ../repo/a/b.yaml\n"));
        assert_eq!(
            text,
            NOTED.replace("    config.kubernetes.io/origin: |\n      path: ../repo/a/b.yaml\n", "")
        );
        let alone = "metadata:\n  annotations:\n    config.kubernetes.io/origin: |\n      configuredIn: k.yaml\n  name: a\n";
        assert_eq!(without_origin(alone).0, "metadata:\n  name: a\n");
        assert_eq!(
            without_origin("metadata:\n  annotations: {}\n"),
            ("metadata:\n  annotations: {}\n".to_owned(), None)
        );
    }

    #[test]
    fn fields_of_metadata_are_named_whatever_they_are() {
        let text = "data:\n  metadata: x\nkind: A\nmetadata:\n  annotations:\n    a: b\n  finalizers:\n  - f\n  label:\n    c: d\n  name: a\nspec:\n  e: f\n";
        assert_eq!(metadata(text), ["annotations", "finalizers", "label", "name"]);
        assert!(metadata("kind: A\nmetadata: {}\n").is_empty());
    }

    #[test]
    fn a_note_names_a_file_of_the_repository_or_nothing() {
        let table = [
            ("path: ../repo/a/b.yaml\n", Some("a/b.yaml")),
            ("path: a/b.yaml\nrepo: https://x.test/y\nref: v1\n", None),
            ("path: ../repo/a/https:/x.test/y.yaml\n", None),
            (
                "configuredIn: ../repo/a/kustomization.yaml\nconfiguredBy: {kind: X}\n",
                Some("a/kustomization.yaml"),
            ),
        ];
        for (note, expected) in table {
            let file = file_of(note, Path::new("/tmp/overlay"), Path::new("/tmp/repo"));
            assert_eq!(file.as_deref(), expected.map(Path::new), "{note}");
        }
    }
}
