//! Defaults of a schema, which an API server applies before validation.

use serde_json::{Map, Value};

/// `value` with the schema's defaults for missing fields, and without nulls in known fields.
pub(super) fn with_defaults(value: &Value, schema: &Map<String, Value>) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields = fields.clone();
            let known = schema.get("properties").and_then(Value::as_object);
            for (name, schema) in known.into_iter().flatten() {
                let Some(schema) = schema.as_object() else { continue };
                match (fields.get(name), schema.get("default")) {
                    (Some(value), _) if !value.is_null() => {
                        let complete = with_defaults(value, schema);
                        fields.insert(name.clone(), complete);
                    }
                    (_, Some(default)) => {
                        fields.insert(name.clone(), default.clone());
                    }
                    _ => {
                        fields.remove(name);
                    }
                }
            }
            Value::Object(fields)
        }
        Value::Array(items) => {
            let of_items = schema.get("items").and_then(Value::as_object);
            let complete =
                |item: &Value| of_items.map_or_else(|| item.clone(), |schema| with_defaults(item, schema));
            Value::Array(items.iter().map(complete).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_said_is_filled_in() {
        let schema = json!({"properties": {
            "a": {"default": 5},
            "b": {"properties": {"c": {"default": "x"}}},
            "d": {"items": {"properties": {"e": {"default": true}}}},
            "f": {},
        }});
        let filled = |value: Value| with_defaults(&value, schema.as_object().unwrap());
        assert_eq!(filled(json!({})), json!({"a": 5}));
        assert_eq!(filled(json!({"a": null, "b": {}, "f": null})), json!({"a": 5, "b": {"c": "x"}}));
        assert_eq!(
            filled(json!({"a": 1, "d": [{}, {"e": false}]})),
            json!({"a": 1, "d": [{"e": true}, {"e": false}]})
        );
    }
}
