//! YAML as Kubernetes parses it: defines the dialect for all parsers.

mod expansion;
mod loose;
mod marks;
pub mod written;

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::DuplicateKeyPolicy;

use self::loose::Loose;

use crate::failure::{Failure, Location, Result};

pub use expansion::{Excess, Measure, excess, measure};
pub use marks::{Marked, Node, documents as marked_documents};

fn options() -> serde_saphyr::Options {
    // kubectl and Flux (go-yaml v2) parse `0755` as octal. The budget limits hostile input, but permits the
    // largest CRD bundles.
    serde_saphyr::options! {
        legacy_octal_numbers: true,
        budget: serde_saphyr::budget! {
            max_depth: 64,
            max_nodes: 4_000_000,
            max_documents: 8_192,
            max_total_scalar_bytes: 256 * 1024 * 1024,
            max_events: 16_000_000,
            max_reader_input_bytes: Some(256 * 1024 * 1024),
        },
    }
}

/// Parses one document. Errors contain `file`, line and column.
pub fn from_str<T: DeserializeOwned>(text: &str, file: &Path) -> Result<T> {
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| refusal(&error, file))
}

/// Parses values as Helm and Flux do: more leniently than objects.
pub fn values_from_str(text: &str, file: &Path) -> Result<Value> {
    let says_something = |line: &&str| !line.trim().is_empty() && !line.starts_with('#');
    if text.lines().find(says_something).is_some_and(|line| line.starts_with('\t')) {
        return Err(Failure::input(format!("cannot parse {}", file.display()))
            .because("it starts with a tab, which go-yaml rejects"));
    }
    let mut options = options();
    options.duplicate_keys = DuplicateKeyPolicy::LastWins;
    let mut reader = text.as_bytes();
    let first = serde_saphyr::read_with_options(&mut reader, options).next();
    match first {
        None => Ok(Value::Null),
        Some(read) => read.map(|Loose(values)| values).map_err(|error| refusal(&error, file)),
    }
}

/// Parses all documents of a stream, skipping empty ones.
pub fn from_multiple<T: DeserializeOwned>(text: &str, file: &Path) -> Result<Vec<T>> {
    serde_saphyr::from_multiple_with_options(text, options()).map_err(|error| refusal(&error, file))
}

fn refusal(error: &serde_saphyr::Error, file: &Path) -> Failure {
    let failure = Failure::input(format!("cannot parse {}", file.display())).because(error.without_snippet());
    match error.location() {
        Some(location) => failure.at(Location {
            file: file.to_owned(),
            line: usize::try_from(location.line()).unwrap_or_default(),
            column: usize::try_from(location.column()).unwrap_or_default(),
        }),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_mean_what_kubectl_makes_of_them() {
        let value: serde_json::Value =
            from_str("{a: 0755, b: yes, c: \"yes\"}", Path::new("x.yaml")).unwrap();
        assert_eq!(value, serde_json::json!({"a": 493, "b": true, "c": "yes"}));
    }

    #[test]
    fn values_are_read_loosely() {
        let table = [
            ("a: 1\na: 2\n", serde_json::json!({"a": 2})),
            ("yes: 1\n0x10: 2\n1: 3\n\"no\": 4\n", serde_json::json!({"true": 1, "16": 2, "1": 3, "no": 4})),
            ("a: 1\n---\nb: 2\n", serde_json::json!({"a": 1})),
            (
                "x: &x {a: 1}\nz: {<<: *x, b: [on, ~, 1.5]}\n",
                serde_json::json!({"x": {"a": 1}, "z": {"a": 1, "b": [true, null, 1.5]}}),
            ),
            ("# nothing\n", serde_json::json!(null)),
        ];
        for (text, expected) in table {
            assert_eq!(values_from_str(text, Path::new("v")).unwrap(), expected, "{text}");
        }
        assert!(values_from_str("a: [\n", Path::new("v")).is_err());
        assert!(values_from_str("~: 1\n", Path::new("v")).is_err());
        assert!(values_from_str("\n\ta: 1\n", Path::new("v")).is_err());
    }

    #[test]
    fn a_refusal_names_file_line_and_column() {
        let failure = from_str::<serde_json::Value>("a: 1\nb: [\n", Path::new("tasks/x.yaml")).unwrap_err();
        assert_eq!(failure.location.unwrap().file, Path::new("tasks/x.yaml"));
    }

    #[test]
    fn anything_may_be_read_as_yaml() {
        let seeds =
            ["a: 0755\nb: [yes, ~, 1.5]\n---\nx: &x {a: 1}\nz: {<<: *x}\n", "a: |\n  text\n- >-\n  b\n"];
        crate::fuzzing::texts(&seeds, |text| {
            drop(from_multiple::<Value>(text, Path::new("x")));
            drop(values_from_str(text, Path::new("x")));
        });
    }
}
