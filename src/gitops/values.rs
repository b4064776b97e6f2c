//! The values of a release: `valuesFrom` in order, then what is written inline.

use std::path::Path;

use serde_json::{Map, Value};

use super::problem::{Problem, ProblemKind};
use super::sources::{Sources, UNKNOWN};
use crate::failure::{Failure, Result};
use crate::object::ObjectRef;
use crate::yaml;

/// A ConfigMap or Secret that a release takes values from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValuesFrom {
    /// Which.
    pub id: ObjectRef,
    /// The key within it.
    pub key: String,
    /// Whether it may be missing.
    pub optional: bool,
    /// Where in the values it goes; none for all of them.
    pub target_path: Option<String>,
    /// Whether its content is known, and not to the cluster only.
    pub is_known: bool,
}

/// The values of a release, as far as they are known.
pub(super) struct ReadValues {
    pub(super) values: Value,
    pub(super) from: Vec<ValuesFrom>,
    /// What is wrong, and in which field.
    pub(super) problems: Vec<(Problem, String)>,
}

/// Puts the values of a HelmRelease together.
pub(super) fn read(spec: &Value, id: &ObjectRef, sources: &Sources) -> ReadValues {
    let namespace = id.namespace.as_deref().unwrap_or_default();
    let mut read = ReadValues { values: Value::Object(Map::new()), from: Vec::new(), problems: Vec::new() };
    for (at, reference) in spec["valuesFrom"].as_array().into_iter().flatten().enumerate() {
        let text = |field: &str| reference[field].as_str();
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
        };
        match more(&mut from, id, sources) {
            Ok(Some(more)) => read.values = merge(read.values, more),
            Ok(None) => {}
            Err((problem, field)) => read.problems.push((problem, format!("spec.valuesFrom[{at}].{field}"))),
        }
        read.from.push(from);
    }
    if !spec["values"].is_null() {
        read.values = merge(read.values, spec["values"].clone());
    }
    read
}

/// What one reference adds; none if there is nothing, or nothing that is known.
fn more(
    from: &mut ValuesFrom,
    id: &ObjectRef,
    sources: &Sources,
) -> Result<Option<Value>, (Problem, &'static str)> {
    let namespace = from.id.namespace.as_deref().unwrap_or_default();
    let source = sources.get(&from.id.kind, namespace, &from.id.name);
    let is_open = source.is_some_and(|source| source.is_open);
    let text = source.and_then(|source| source.data.get(&from.key)).map(String::as_str);
    let text = match text.or(is_open.then_some(UNKNOWN)) {
        Some(UNKNOWN) => {
            from.is_known = false;
            return Ok(None);
        }
        Some(text) => text,
        None if from.optional => return Ok(None),
        None => {
            let failure = Failure::input(format!("{id} takes values from {} of {}, which is not declared", from.key, from.id))
                .hint("declare it in the repository (a Secret: in bootstrapper.yaml), or mark the reference `optional`");
            let field = if source.is_some() { "valuesKey" } else { "name" };
            return Err((Problem::new(ProblemKind::MissingValuesSource, failure), field));
        }
    };
    if let Some(path) = &from.target_path {
        return at_path(path, scalar(text))
            .map(Some)
            .map_err(|failure| (Problem::new(ProblemKind::UnsupportedTargetPath, failure), "targetPath"));
    }
    // The text may be a Secret's: where it is wrong is told, never what it says.
    let place = format!("{} of {}", from.key, from.id);
    yaml::from_str(text, Path::new(&place)).map(Some).map_err(|failure| {
        let failure = Failure { because: Vec::new(), location: None, ..failure };
        (Problem::new(ProblemKind::UnreadableValues, failure), "name")
    })
}

/// Merges `over` into `under`: maps deeply, anything else is replaced (helm-controller's
/// `chartutil.MergeMaps`).
fn merge(under: Value, over: Value) -> Value {
    match (under, over) {
        (Value::Object(mut under), Value::Object(over)) => {
            for (key, value) in over {
                let merged = match under.remove(&key) {
                    Some(before) => merge(before, value),
                    None => value,
                };
                under.insert(key, merged);
            }
            Value::Object(under)
        }
        (_, over) => over,
    }
}

/// A value at a path, as `--set` writes it: `a.b.c`, with `\.` for a dot within a name.
fn at_path(path: &str, value: Value) -> Result<Value> {
    if path.contains(['[', '{', ',', '=']) {
        return Err(Failure::input(format!("targetPath `{path}` is more than a path of names"))
            .hint("give the value a key of its own in valuesFrom, without targetPath"));
    }
    let escaped = path.replace("\\.", "\u{0}");
    Ok(escaped.rsplit('.').map(|name| name.replace('\u{0}', ".")).fold(value, |inner, name| {
        let mut map = Map::new();
        map.insert(name, inner);
        Value::Object(map)
    }))
}

/// What `--set` makes of a text: numbers, booleans and null have their types.
fn scalar(text: &str) -> Value {
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" => Value::Null,
        _ => match text.parse::<i64>() {
            Ok(number) if text == "0" || !text.starts_with('0') => number.into(),
            _ => text.into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn maps_merge_and_lists_are_replaced() {
        let under = json!({"a": {"x": 1, "y": [1, 2]}, "b": 1});
        let over = json!({"a": {"y": [3], "z": null}, "c": 2});
        assert_eq!(merge(under, over), json!({"a": {"x": 1, "y": [3], "z": null}, "b": 1, "c": 2}));
    }

    fn sources() -> Sources {
        let mut sources = Sources::default();
        for object in [
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "v", "namespace": "n"}, "data": {"values.yaml": "a: {x: 1, y: 2}", "port": "80", "bad": "{"}}),
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}, "stringData": {"values.yaml": "ENC[x]"}}),
        ] {
            sources.add(&serde_json::from_value(object).unwrap());
        }
        sources
    }

    fn values(from: &Value) -> ReadValues {
        let spec = json!({"valuesFrom": from, "values": {"a": {"y": 3}}});
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
        assert_eq!(read.values, json!({"a": {"x": 1, "y": 3, "p": 80}}));
        assert!(read.problems.is_empty());
        assert_eq!(read.from.iter().map(|from| from.is_known).collect::<Vec<_>>(), [true, true, true, false]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_field() {
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
                json!({"kind": "ConfigMap", "name": "v", "valuesKey": "port", "targetPath": "a[0]"}),
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
    fn a_path_of_names_is_a_nest_of_maps() {
        let value = at_path("a.b\\.c.d", scalar("5")).unwrap();
        assert_eq!(value, json!({"a": {"b.c": {"d": 5}}}));
        assert!(at_path("a[0]", scalar("5")).is_err());
    }
}
