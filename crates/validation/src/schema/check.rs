//! Checks a value against a structural schema, as an API server with strict field validation does.

use serde_json::{Map, Value};

use super::defaults::with_defaults;
use super::format::shown;
use super::{expressions, format};

/// One violation of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Breach {
    pub kind: BreachKind,
    /// `spec.peers[0].peerASN`.
    pub path: String,
    /// The actual value: `is "abc"`.
    pub what: String,
    /// The allowed values.
    pub allowed: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BreachKind {
    UnknownField,
    MissingField,
    Value,
    Expression,
}

/// The maximum number of listed alternatives.
const MOST_SHOWN: usize = 12;

pub(super) fn check(object: &Value, schema: &Value, definitions: &Value) -> Vec<Breach> {
    let mut checker = Checker { definitions, breaches: Vec::new() };
    let complete = schema.as_object().map(|schema| with_defaults(object, schema));
    checker.node(complete.as_ref().unwrap_or(object), schema, "", true);
    checker.breaches
}

/// Fields of `metadata` that its schema does not have.
pub(super) fn unknown_metadata(fields: &[String], schema: &Value) -> Vec<Breach> {
    let known = schema["properties"].as_object();
    let is_unknown = |name: &&String| known.is_some_and(|known| !known.contains_key(*name));
    let breach = |name: &String| unknown_field(&within("metadata", name), name, known);
    fields.iter().filter(is_unknown).map(breach).collect()
}

fn unknown_field(path: &str, name: &str, known: Option<&Map<String, Value>>) -> Breach {
    Breach {
        kind: BreachKind::UnknownField,
        path: path.to_owned(),
        what: format!("unknown field `{name}`"),
        allowed: instead(name, known),
    }
}

struct Checker<'a> {
    definitions: &'a Value,
    breaches: Vec<Breach>,
}

impl<'a> Checker<'a> {
    fn refuse(&mut self, kind: BreachKind, path: &str, what: impl Into<String>, allowed: impl Into<String>) {
        self.breaches.push(Breach {
            kind,
            path: path.to_owned(),
            what: what.into(),
            allowed: allowed.into(),
        });
    }

    /// `strict` is false within `anyOf` and the like, which do not define the set of fields.
    fn node(&mut self, value: &Value, schema: &'a Value, path: &str, strict: bool) {
        let Some(schema) = self.resolved(schema).as_object() else { return };
        // Null counts as unset, and is not checked.
        if value.is_null() || value.as_str().is_some_and(super::is_unknown) {
            return;
        }
        if let Some(allowed) = refused_type(value, schema) {
            self.refuse(BreachKind::Value, path, format!("is {}", shown(value)), allowed);
            return;
        }
        if let Some(allowed) = format::refused(value, schema) {
            self.refuse(BreachKind::Value, path, format!("is {}", shown(value)), allowed);
        }
        match value {
            Value::Object(fields) => self.fields(fields, schema, path, strict),
            Value::Array(items) => self.items(items, schema, path, strict),
            _ => {}
        }
        self.alternatives(value, schema, path);
        for refusal in expressions::refused(value, schema) {
            let at = refusal.field.map_or_else(|| path.to_owned(), |field| format!("{path}{field}"));
            self.refuse(BreachKind::Expression, &at, refusal.message, refusal.rule);
        }
    }

    fn resolved(&self, schema: &'a Value) -> &'a Value {
        let reference = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next());
        reference.map_or(schema, |name| &self.definitions[name])
    }

    fn fields(
        &mut self,
        fields: &Map<String, Value>,
        schema: &'a Map<String, Value>,
        path: &str,
        strict: bool,
    ) {
        let known = schema.get("properties").and_then(Value::as_object);
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            let Some(name) = name.as_str() else { continue };
            if fields.get(name).is_none_or(Value::is_null) {
                self.refuse(
                    BreachKind::MissingField,
                    path,
                    format!("has no `{name}`"),
                    format!("`{name}` is required"),
                );
            }
        }
        for (name, value) in fields {
            let at = within(path, name);
            if let Some(schema) = known.and_then(|known| known.get(name)) {
                self.node(value, schema, &at, strict);
            } else if let Some(schema) =
                schema.get("additionalProperties").filter(|schema| schema.is_object())
            {
                self.node(value, schema, &at, strict);
            } else if strict && !value.is_null() && !is_head(path, name) && !takes_any_field(schema) {
                self.breaches.push(unknown_field(&at, name, known));
            }
        }
    }

    fn items(&mut self, items: &[Value], schema: &'a Map<String, Value>, path: &str, strict: bool) {
        let of_items = schema.get("items");
        if let Some(of_items) = of_items {
            for (at, item) in items.iter().enumerate() {
                self.node(item, of_items, &format!("{path}[{at}]"), strict);
            }
        }
        let keys: Vec<&str> = match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
            Some("map") => {
                let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
                keys.into_iter().flatten().filter_map(Value::as_str).collect()
            }
            Some("set") => Vec::new(),
            _ if schema.get("uniqueItems") == Some(&Value::Bool(true)) => Vec::new(),
            _ => return,
        };
        // `protocol` of a port defaults to TCP.
        let defaults = of_items.map_or(&Value::Null, |of_items| &self.resolved(of_items)["properties"]);
        let part = |item: &Value, key: &str| match &item[key] {
            Value::Null => defaults[key]["default"].clone(),
            value => value.clone(),
        };
        let key_of = |item: &Value| -> Value {
            if keys.is_empty() { item.clone() } else { keys.iter().map(|key| part(item, key)).collect() }
        };
        let all: Vec<Value> = items.iter().map(key_of).collect();
        for (at, key) in all.iter().enumerate() {
            if all[..at].contains(key) {
                let what = format!(
                    "is a duplicate: {}",
                    key.as_array().map_or_else(
                        || shown(key),
                        |keys| { keys.iter().map(shown).collect::<Vec<_>>().join(", ") }
                    )
                );
                self.refuse(BreachKind::Value, &format!("{path}[{at}]"), what, "unique items");
            }
        }
    }

    /// `allOf`, `anyOf`, `oneOf` and `not`.
    fn alternatives(&mut self, value: &Value, schema: &'a Map<String, Value>, path: &str) {
        let of = |name: &str| schema.get(name).and_then(Value::as_array).into_iter().flatten();
        for one in of("allOf") {
            self.node(value, one, path, false);
        }
        let fits = |schema: &'a Value| {
            let mut checker = Checker { definitions: self.definitions, breaches: Vec::new() };
            checker.node(value, schema, path, false);
            checker.breaches.is_empty()
        };
        let refusal = if of("anyOf").next().is_some() && !of("anyOf").any(fits) {
            Some("one of several forms; it matches none")
        } else if of("oneOf").next().is_some() && of("oneOf").filter(|one| fits(one)).count() != 1 {
            Some("exactly one of several forms")
        } else if schema.get("not").is_some_and(fits) {
            Some("anything else")
        } else {
            None
        };
        if let Some(allowed) = refusal {
            self.refuse(BreachKind::Value, path, format!("is {}", shown(value)), allowed);
        }
    }
}

/// The path of a field, in the format of `Declared::place`.
fn within(path: &str, name: &str) -> String {
    match (path, name.contains(['.', '[', '/'])) {
        (_, true) => format!("{path}[\"{name}\"]"),
        ("", false) => name.to_owned(),
        (_, false) => format!("{path}.{name}"),
    }
}

/// Fields that every object has, regardless of its schema.
fn is_head(path: &str, name: &str) -> bool {
    path.is_empty() && ["apiVersion", "kind", "metadata"].contains(&name)
}

fn is_true(schema: &Map<String, Value>, name: &str) -> bool {
    schema.get(name) == Some(&Value::Bool(true))
}

/// Whether the schema permits unknown fields.
fn takes_any_field(schema: &Map<String, Value>) -> bool {
    let is_free = !schema.contains_key("properties") && !schema.contains_key("additionalProperties");
    is_free
        || is_true(schema, "x-kubernetes-preserve-unknown-fields")
        || is_true(schema, "additionalProperties")
}

/// The allowed types, if that of `value` is not allowed.
fn refused_type(value: &Value, schema: &Map<String, Value>) -> Option<String> {
    let int_or_string = is_true(schema, "x-kubernetes-int-or-string")
        || schema.get("format").and_then(Value::as_str) == Some("int-or-string");
    let types: Vec<&str> = match schema.get("type") {
        _ if int_or_string => vec!["integer", "string"],
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let is_of = |kind: &&str| match *kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        _ => true,
    };
    let name = |kind: &&str| match *kind {
        "object" => "a map",
        "array" => "a list",
        "string" => "a string",
        "boolean" => "true or false",
        "integer" => "an integer",
        _ => "a number",
    };
    (!types.iter().any(is_of)).then(|| types.iter().map(name).collect::<Vec<_>>().join(" or "))
}

/// The alternatives to an unknown field.
fn instead(name: &str, known: Option<&Map<String, Value>>) -> String {
    let Some(known) = known.filter(|known| !known.is_empty()) else {
        return "no fields".to_owned();
    };
    let nearest =
        known.keys().max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
    let meant = nearest
        .filter(|nearest| strsim::jaro_winkler(&nearest.to_lowercase(), &name.to_lowercase()) > 0.8)
        .map(|nearest| format!("did you mean `{nearest}`? "))
        .unwrap_or_default();
    let all: Vec<&str> = known.keys().map(String::as_str).take(MOST_SHOWN).collect();
    let more = if known.len() > MOST_SHOWN { ", …" } else { "" };
    format!("{meant}known fields: {}{more}", all.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(value: &Value, schema: &Value) -> Vec<(BreachKind, String)> {
        check(value, schema, &Value::Null).into_iter().map(|breach| (breach.kind, breach.path)).collect()
    }

    #[test]
    fn what_a_structural_schema_refuses() {
        use BreachKind::{MissingField, UnknownField, Value as Wrong};
        let spec = |of: Value| json!({"type": "object", "properties": {"a": of}});
        let table = [
            (json!({"a": 1}), spec(json!({"type": "integer"})), None),
            (json!({"a": "1"}), spec(json!({"type": "integer"})), Some((Wrong, "a"))),
            (json!({"a": super::super::SEEDED}), spec(json!({"type": "integer"})), None),
            (json!({"a": null}), spec(json!({"type": "integer"})), None),
            (json!({"b": 1}), spec(json!({"type": "integer"})), Some((UnknownField, "b"))),
            (
                json!({"a": {"x.y": true}}),
                spec(json!({"type": "object", "additionalProperties": {"type": "string"}})),
                Some((Wrong, "a[\"x.y\"]")),
            ),
            (
                json!({"a": {"b": 1}}),
                spec(
                    json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {}}),
                ),
                None,
            ),
            (json!({"a": {}}), spec(json!({"type": "object", "required": ["x"]})), Some((MissingField, "a"))),
            (json!({"a": "x"}), spec(json!({"type": "string", "enum": ["y"]})), Some((Wrong, "a"))),
            (json!({"a": 80}), spec(json!({"x-kubernetes-int-or-string": true})), None),
            (json!({"a": true}), spec(json!({"x-kubernetes-int-or-string": true})), Some((Wrong, "a"))),
            (
                json!({"a": [1, "x"]}),
                spec(json!({"type": "array", "items": {"type": "integer"}})),
                Some((Wrong, "a[1]")),
            ),
            (
                json!({"a": [{"n": 1}, {"n": 1}]}),
                spec(
                    json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"], "items": {"type": "object", "properties": {"n": {}}}}),
                ),
                Some((Wrong, "a[1]")),
            ),
            (
                json!({"a": {"x": 1}}),
                spec(
                    json!({"type": "object", "properties": {"x": {}, "y": {}}, "oneOf": [{"required": ["x"]}, {"required": ["y"]}]}),
                ),
                None,
            ),
            (
                json!({"a": {"x": 1, "y": 1}}),
                spec(
                    json!({"type": "object", "properties": {"x": {}, "y": {}}, "oneOf": [{"required": ["x"]}, {"required": ["y"]}]}),
                ),
                Some((Wrong, "a")),
            ),
            (
                json!({"a": "x"}),
                spec(json!({"anyOf": [{"type": "integer"}, {"type": "boolean"}]})),
                Some((Wrong, "a")),
            ),
            (json!({"a": "x"}), spec(json!({"not": {"type": "string"}})), Some((Wrong, "a"))),
        ];
        for (value, schema, expected) in table {
            let expected: Vec<_> = expected.into_iter().map(|(kind, path)| (kind, path.to_owned())).collect();
            assert_eq!(found(&value, &schema), expected, "{value} against {schema}");
        }
    }

    #[test]
    fn an_unknown_field_suggests_the_correct_one() {
        let schema = json!({"type": "object", "properties": {"peerASN": {}, "name": {}}});
        let breaches = check(&json!({"peerAsn": 1}), &schema, &Value::Null);
        assert_eq!(breaches[0].allowed, "did you mean `peerASN`? known fields: name, peerASN");
    }
}
