//! The values of a release: `valuesFrom` in order, then the inline values.

use std::path::Path;

use serde_json::Value;

use super::problem::{Problem, ProblemKind};
use super::set_path::{self, Text};
use super::shared_values::{Integer, SharedMap};
use super::sources::{Source, Sources, UNKNOWN};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::yaml;

/// A ConfigMap or Secret with values of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValuesFrom {
    /// Its reference.
    pub id: ObjectRef,
    /// The key in it.
    pub key: String,
    /// Whether it may be missing.
    pub optional: bool,
    /// The path of the value; none for all values.
    pub target_path: Option<String>,
    /// Whether its content is known here, not only in the cluster.
    pub is_known: bool,
    /// Whether the cluster will create it.
    pub is_created_in_cluster: bool,
}

/// The values of a release, as far as they are known.
pub(super) struct ReadValues {
    pub(super) values: Value,
    pub(super) from: Vec<ValuesFrom>,
    /// The numbers in them that are integers for Go.
    pub(super) integers: Vec<Integer>,
    /// The problems, each with its field.
    pub(super) problems: Vec<(Problem, String)>,
}

/// The values of a HelmRelease, with `beside` as all ConfigMaps and Secrets; the integers among them, in the
/// syntax of `--set`; and the problems.
pub fn chart_values(release: &Object, beside: &[Object]) -> (Value, Vec<String>, Vec<Problem>) {
    let mut sources = Sources::default();
    for object in beside {
        sources.add_with(object, std::collections::BTreeSet::new());
    }
    let read = read(&release.data["spec"], &ObjectRef::of(release), &sources);
    let integers = read.integers.iter().map(Integer::argument).collect();
    (read.values, integers, read.problems.into_iter().map(|(problem, _)| problem).collect())
}

/// Merges the values of a HelmRelease.
pub(super) fn read(spec: &Value, id: &ObjectRef, sources: &Sources) -> ReadValues {
    let namespace = id.namespace.as_deref().unwrap_or_default();
    let inline = SharedMap::of(spec["values"].clone());
    let mut values = SharedMap::default();
    let mut read =
        ReadValues { values: Value::Null, from: Vec::new(), integers: Vec::new(), problems: Vec::new() };
    for (at, reference) in spec["valuesFrom"].as_array().into_iter().flatten().enumerate() {
        let text = |field: &str| reference[field].as_str().filter(|text| !text.is_empty());
        let mut from = ValuesFrom {
            id: ObjectRef::namespaced(
                "v1",
                text("kind").unwrap_or_default(),
                namespace,
                text("name").unwrap_or_default(),
            ),
            key: text("valuesKey").unwrap_or("values.yaml").to_owned(),
            optional: reference["optional"] == true,
            target_path: text("targetPath").map(str::to_owned),
            is_known: true,
            is_created_in_cluster: false,
        };
        let added = taken(&mut from, id, sources).and_then(|taken| match (taken, &from.target_path) {
            (None, _) => Ok(()),
            (Some(text), None) => {
                values = values.merged(&all(text, &from)?);
                Ok(())
            }
            (Some(text), Some(path)) => {
                values = values.merged(&inline);
                let is_literal = reference["literal"] == true;
                let text = Text { says: text, is_literal, is_secret: from.id.kind == "Secret" };
                set_path::set(&values, path, &text).map_err(|why| unsettable(&from, path, why))
            }
        });
        if let Err((problem, field)) = added {
            read.problems.push((problem, format!("spec.valuesFrom[{at}].{field}")));
        }
        read.from.push(from);
    }
    let values = values.merged(&inline);
    read.values = values.value();
    read.integers = values.integers();
    read
}

type Wrong = (Problem, &'static str);

/// The text of a reference; none if it is missing or unknown.
fn taken<'a>(from: &mut ValuesFrom, id: &ObjectRef, sources: &'a Sources) -> Result<Option<&'a str>, Wrong> {
    let namespace = from.id.namespace.as_deref().unwrap_or_default();
    let source = sources.get(&from.id.kind, namespace, &from.id.name);
    let is_open = source.is_some_and(|source| source.is_open);
    let text = source.and_then(|source| source.data.get(&from.key)).map(String::as_str);
    match text.or(is_open.then_some(UNKNOWN)) {
        Some(UNKNOWN) => {
            from.is_known = false;
            from.is_created_in_cluster = source.is_some_and(Source::is_created_in_cluster);
            Ok(None)
        }
        Some(text) => Ok(Some(text)),
        None if from.optional => Ok(None),
        None => {
            let failure = Failure::input(format!("{id}: {} of {} not found", from.key, from.id))
                .hint("declare it in the repository (a Secret: in bootstrapper.yaml), or mark the reference `optional`");
            let field = if source.is_some() { "valuesKey" } else { "name" };
            Err((Problem::new(ProblemKind::MissingValuesSource, failure), field))
        }
    }
}

/// Parses a text that contains whole values.
fn all(text: &str, from: &ValuesFrom) -> Result<SharedMap, Wrong> {
    // The text may be secret: an error has the location, never the content.
    let place = format!("{} of {}", from.key, from.id);
    let refused = |failure: Failure| {
        let failure = Failure { because: Vec::new(), location: None, ..failure };
        (Problem::new(ProblemKind::UnreadableValues, failure), "name")
    };
    match yaml::values_from_str(text, Path::new(&place)).map_err(refused)? {
        Value::Null => Ok(SharedMap::default()),
        values @ Value::Object(_) => Ok(SharedMap::of(values)),
        _ => Err(refused(Failure::input(format!("{place} is not a map of values")))),
    }
}

fn unsettable(from: &ValuesFrom, path: &str, why: &str) -> Wrong {
    let what = format!("{} of {} cannot be set at targetPath `{path}`", from.key, from.id);
    let failure = Failure::input(what)
        .because(why)
        .hint("`literal: true` uses the text as it is; without it, it is parsed like `helm --set`");
    (Problem::new(ProblemKind::UnsupportedTargetPath, failure), "targetPath")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sources() -> Sources {
        let mut sources = Sources::default();
        for object in [
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "v", "namespace": "n"}, "data": {"values.yaml": "a: {x: 1, z: 2}", "port": "80", "bad": "{"}}),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}, "stringData": {"values.yaml": "ENC[x]"}}),
        ] {
            sources.add(&serde_json::from_value(object).unwrap());
        }
        sources
    }

    fn values(from: &Value) -> ReadValues {
        let spec = json!({"valuesFrom": from, "values": {"a": {"z": 3}}});
        read(&spec, &ObjectRef::namespaced("helm.toolkit.fluxcd.io/v2", "HelmRelease", "n", "r"), &sources())
    }

    #[test]
    fn what_comes_later_counts() {
        let read = values(&json!([
            {"kind": "ConfigMap", "name": "v"},
            {"kind": "ConfigMap", "name": "v", "valuesKey": "port", "targetPath": "a.p"},
            {"kind": "ConfigMap", "name": "none", "optional": true},
            {"kind": "Secret", "name": "s"},
        ]));
        assert_eq!(read.values, json!({"a": {"x": 1, "z": 3, "p": 80}}));
        assert!(read.problems.is_empty());
        assert_eq!(read.from.iter().map(|from| from.is_known).collect::<Vec<_>>(), [true, true, true, false]);
    }

    #[test]
    fn problems_are_reported_with_their_field() {
        let table = [
            (
                json!({"kind": "ConfigMap", "name": "none"}),
                ProblemKind::MissingValuesSource,
                "spec.valuesFrom[0].name",
            ),
            (
                json!({"kind": "ConfigMap", "name": "v", "valuesKey": "x"}),
                ProblemKind::MissingValuesSource,
                "spec.valuesFrom[0].valuesKey",
            ),
            (
                json!({"kind": "ConfigMap", "name": "v", "valuesKey": "bad"}),
                ProblemKind::UnreadableValues,
                "spec.valuesFrom[0].name",
            ),
            (
                json!({"kind": "ConfigMap", "name": "v", "valuesKey": "port", "targetPath": "a[x]"}),
                ProblemKind::UnsupportedTargetPath,
                "spec.valuesFrom[0].targetPath",
            ),
        ];
        for (reference, kind, field) in table {
            let problems = values(&json!([reference])).problems;
            assert_eq!(problems.len(), 1);
            assert_eq!((problems[0].0.kind, problems[0].1.as_str()), (kind, field));
        }
    }

    #[test]
    fn anything_may_stand_in_values() {
        let spec = json!({"values": {"a": {"z": 3}}, "valuesFrom": [
            {"kind": "ConfigMap", "name": "v"},
            {"kind": "ConfigMap", "name": "v", "valuesKey": "port", "targetPath": "a.p[1].x", "literal": true},
        ]});
        let release = json!({"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": {"name": "r", "namespace": "n"}, "spec": spec});
        bootstrapper_core::fuzzing::objects(&[release], |object| {
            drop(read(&object.data["spec"], &ObjectRef::of(object), &sources()));
        });
        bootstrapper_core::fuzzing::texts(&["a.b[0].c={x,y}", "a\\.b=1", "a[2][3]=null"], |path| {
            let spec = json!({"valuesFrom": [{"kind": "ConfigMap", "name": "v", "valuesKey": "port", "targetPath": path}]});
            drop(read(&spec, &ObjectRef::namespaced("v1", "H", "n", "r"), &sources()));
        });
    }
}
