//! The values of a release: `valuesFrom` in order, then what is written inline.

use serde_json::{Map, Value};

use crate::failure::{Failure, Result};

/// Merges `over` into `under`: maps deeply, anything else is replaced (helm-controller's
/// `chartutil.MergeMaps`).
pub(super) fn merge(under: Value, over: Value) -> Value {
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
pub(super) fn at_path(path: &str, value: Value) -> Result<Value> {
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
pub(super) fn scalar(text: &str) -> Value {
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

    #[test]
    fn a_path_of_names_is_a_nest_of_maps() {
        let value = at_path("a.b\\.c.d", scalar("5")).unwrap();
        assert_eq!(value, json!({"a": {"b.c": {"d": 5}}}));
        assert!(at_path("a[0]", scalar("5")).is_err());
    }
}
