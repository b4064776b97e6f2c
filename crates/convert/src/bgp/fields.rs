//! Takes the fields of a map one by one, and says what is missing, what is left and what is wrong.

use std::path::{Path, PathBuf};

use bootstrapper_core::failure::{Failure, Location};
use bootstrapper_core::yaml::written::{Mark, Node, Scalar, Value};

/// What cannot be converted.
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

/// The fields of a map that are still to be taken.
pub(super) struct Fields {
    /// What the map describes, for people: `the neighbor`.
    what: &'static str,
    mark: Mark,
    entries: Vec<(Scalar, Node)>,
}

impl Fields {
    /// The fields of a map; none, and a problem, if it is no map.
    pub(super) fn open(what: &'static str, node: Node, problems: &mut Problems) -> Option<Self> {
        match node.value {
            Value::Map(entries, _) => Some(Self { what, mark: node.mark, entries }),
            _ => {
                problems.refuse(node.mark, format!("{what} is not a map"), "correct it first");
                None
            }
        }
    }

    /// A field. One that is null is not there, as for the API server.
    pub(super) fn take(&mut self, key: &str) -> Option<Node> {
        let at = self.entries.iter().position(|(own, _)| own.text == key)?;
        Some(self.entries.remove(at).1).filter(|node| !node.is_null())
    }

    /// A field that must be there.
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

    /// Fields that keep their names, in this order.
    pub(super) fn take_all(&mut self, keys: &[&'static str]) -> Vec<(&'static str, Node)> {
        keys.iter().filter_map(|key| Some((*key, self.take(key)?))).collect()
    }

    /// The items of a list; none, and a problem, if it is no list.
    pub(super) fn items(node: Node, problems: &mut Problems) -> Vec<Node> {
        match node.value {
            Value::List(items, _) => items,
            _ => {
                problems.refuse(node.mark, "not a list", "correct it first");
                Vec::new()
            }
        }
    }

    /// All that was not taken is a problem: it has no successor.
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
