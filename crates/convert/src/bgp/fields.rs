//! Takes the fields of a map one by one, and reports missing, unknown and invalid ones.

use std::path::{Path, PathBuf};

use bootstrapper_core::failure::{Failure, Location};
use bootstrapper_core::yaml::written::{Mark, Node, Scalar, Value};

/// Why a policy cannot be converted.
pub(super) struct Problems {
    file: PathBuf,
    found: Vec<Failure>,
}

impl Problems {
    pub(super) fn of(file: &Path) -> Self {
        Self { file: file.to_owned(), found: Vec::new() }
    }

    pub(super) fn refuse(&mut self, mark: Mark, what: impl Into<String>, hint: &str) {
        let place = Location { file: self.file.clone(), line: mark.line, column: mark.column };
        self.found.push(Failure::step(what).at(place).hint(hint));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(super) fn into_failures(self) -> Vec<Failure> {
        self.found
    }
}

/// The remaining fields of a map.
pub(super) struct Fields {
    /// A description of the map: `the neighbor`.
    what: &'static str,
    mark: Mark,
    entries: Vec<(Scalar, Node)>,
}

impl Fields {
    /// The fields of a map; none, and a problem, if it is not a map.
    pub(super) fn open(what: &'static str, node: Node, problems: &mut Problems) -> Option<Self> {
        match node.value {
            Value::Map(entries, _) => Some(Self { what, mark: node.mark, entries }),
            _ => {
                problems.refuse(node.mark, format!("{what} is not a map"), "correct it first");
                None
            }
        }
    }

    /// A field. Null counts as missing, as for the API server.
    pub(super) fn take(&mut self, key: &str) -> Option<Node> {
        let at = self.entries.iter().position(|(own, _)| own.text == key)?;
        Some(self.entries.remove(at).1).filter(|node| !node.is_null())
    }

    /// A required field.
    pub(super) fn require(&mut self, key: &str, problems: &mut Problems) -> Option<Node> {
        let found = self.take(key);
        if found.is_none() {
            problems.refuse(
                self.mark,
                format!("{} has no `{key}`", self.what),
                "add it first: the old kind requires it too",
            );
        }
        found
    }

    /// Fields whose names do not change, in this order.
    pub(super) fn take_all(&mut self, keys: &[&'static str]) -> Vec<(&'static str, Node)> {
        keys.iter().filter_map(|key| Some((*key, self.take(key)?))).collect()
    }

    /// The items of a list; none, and a problem, if it is not a list.
    pub(super) fn items(node: Node, problems: &mut Problems) -> Vec<Node> {
        match node.value {
            Value::List(items, _) => items,
            _ => {
                problems.refuse(node.mark, "not a list", "correct it first");
                Vec::new()
            }
        }
    }

    /// Each remaining field is a problem: it has no replacement.
    pub(super) fn close(self, problems: &mut Problems) {
        for (key, node) in self.entries {
            problems.refuse(
                node.mark,
                format!("`{}` of {} has no replacement", key.text, self.what),
                "remove it, if it is invalid in the old kind too",
            );
        }
    }
}
