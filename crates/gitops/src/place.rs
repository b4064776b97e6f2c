//! Where in the repository an object is declared.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bootstrapper_core::failure::Location;
use bootstrapper_core::files;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::yaml::{Marked, marked_documents};

/// The files of a repository, for locations in them: each is read and parsed once, for any number of locations.
#[derive(Debug)]
pub(super) struct Files {
    root: PathBuf,
    read: Mutex<BTreeMap<PathBuf, Option<Arc<File>>>>,
}

#[derive(Debug)]
struct File {
    text: String,
    documents: Vec<Marked>,
}

impl Files {
    /// The files of the repository in `root`.
    pub(super) fn of(root: &Path) -> Self {
        Self { root: root.to_owned(), read: Mutex::default() }
    }

    fn get(&self, file: &Path) -> Option<Arc<File>> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let parse = || {
            let text = files::read_text(&self.root, file).ok()?;
            Some(Arc::new(File { documents: marked_documents(&text), text }))
        };
        read.entry(file.to_owned()).or_insert_with(parse).clone()
    }
}

/// Where an object is declared: the file that kustomize read it from, and its name there, if known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The file, relative to the repository.
    pub file: PathBuf,
    /// The fields of its metadata, as built: also invalid ones, which [`Object`] omits.
    pub metadata: Vec<String>,
    pub(super) kind: String,
    pub(super) name: String,
    /// The field of the object in the file that this one is created from; empty if it is itself in the file.
    pub(super) field: String,
}

impl Written {
    /// `object` as built, before substitution.
    pub(super) fn new(file: PathBuf, object: &Object) -> Self {
        let id = ObjectRef::of(object);
        Self { file, metadata: Vec::new(), kind: id.kind, name: id.name, field: String::new() }
    }

    /// An object created from a field of this object.
    pub(super) fn within_field(&self, field: &str) -> Self {
        Self { metadata: Vec::new(), field: field.to_owned(), ..self.clone() }
    }

    /// Whether the object in the file has this kind.
    pub fn is_kind(&self, kind: &str) -> bool {
        self.kind == kind
    }

    /// Line and column of a field (`spec.dependsOn[1].name`), or of its nearest parent.
    pub(super) fn place(&self, files: &Files, field: &str) -> Option<Location> {
        let file = files.get(&self.file)?;
        let whole = match (self.field.as_str(), field) {
            ("", field) => field.to_owned(),
            (within, "") => within.to_owned(),
            (within, field) => format!("{within}.{field}"),
        };
        let (line, column) = self.within(&file.documents)?.place(&whole);
        Some(Location { file: self.file.clone(), line, column })
    }

    /// The name of the object in its file; none if it is a field of another object.
    pub(super) fn name_in_file(&self, files: &Files) -> Option<String> {
        let file = files.get(&self.file)?;
        let node = self.within(&file.documents).filter(|_| self.field.is_empty())?;
        let is_it = node.get("kind").and_then(Marked::text) == Some(&self.kind);
        let name = node.get("metadata")?.get("name")?.text().filter(|name| is_it && !name.contains("${"))?;
        Some(name.to_owned())
    }

    /// The location of the first occurrence of `text` in the object.
    pub(super) fn find(&self, files: &Files, text: &str) -> Option<Location> {
        let file = files.get(&self.file)?;
        let from = self.within(&file.documents)?.line - 1;
        let lines = file.text.lines().enumerate().skip(from);
        lines.into_iter().find_map(|(at, line)| {
            let column = line.split_once(text)?.0.chars().count() + 1;
            Some(Location { file: self.file.clone(), line: at + 1, column })
        })
    }

    /// The node that this object was built from. kustomize may have lengthened its name; a generated object is
    /// located at its generator.
    /// object that a generator makes is where the generator is.
    fn within<'a>(&self, documents: &'a [Marked]) -> Option<&'a Marked> {
        let objects: Vec<&Marked> = documents
            .iter()
            .flat_map(|one| one.get("items").map_or(std::slice::from_ref(one), Marked::items))
            .collect();
        let of_kind: Vec<&Marked> = objects
            .iter()
            .copied()
            .filter(|one| one.get("kind").and_then(Marked::text) == Some(&self.kind))
            .collect();
        let name = |one: &&&'a Marked| one.get("metadata").and_then(|metadata| metadata.get("name")?.text());
        let exact = of_kind.iter().find(|one| name(one) == Some(&self.name));
        let longer = || of_kind.iter().find(|one| name(one).is_some_and(|name| self.name.contains(name)));
        let generated = || {
            let generators = documents.iter().flat_map(|one| {
                ["configMapGenerator", "secretGenerator"]
                    .into_iter()
                    .flat_map(|field| one.get(field).map_or(&[][..], Marked::items))
            });
            generators.into_iter().find(|one| {
                one.get("name").and_then(Marked::text).is_some_and(|name| self.name.contains(name))
            })
        };
        exact.or_else(longer).or(of_kind.first()).copied().or_else(generated).or_else(|| documents.first())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(kind: &str, name: &str) -> Written {
        Written {
            file: "x.yaml".into(),
            metadata: Vec::new(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            field: String::new(),
        }
    }

    #[test]
    fn the_right_document_is_found() {
        let text = "kind: A\nmetadata: {name: one}\n---\nkind: B\nmetadata: {name: one}\n---\nkind: B\nmetadata: {name: two}\n---\nkind: List\nitems:\n- kind: C\n  metadata: {name: three}\n";
        let table = [
            (written("A", "one"), 1),
            (written("B", "one"), 4),
            (written("B", "two"), 7),
            (written("B", "pre-two-post"), 7),
            (written("B", "${NAME}"), 4),
            (written("C", "three"), 12),
            (written("D", "none"), 1),
        ];
        let documents = marked_documents(text);
        for (written, line) in table {
            assert_eq!(written.within(&documents).unwrap().line, line, "{written:?}");
        }
    }

    #[test]
    fn what_a_generator_makes_is_where_the_generator_is() {
        let text = "kind: Kustomization\nconfigMapGenerator:\n- name: other\n- name: values\n  files: [values.yaml]\n";
        let documents = marked_documents(text);
        assert_eq!(written("ConfigMap", "values-7b2m4f").within(&documents).unwrap().line, 4);
    }
}
