//! Compares live objects with their declaration. Pure.

use serde_json::Value;

use bootstrapper_core::object::Object;

/// How a declared object differs from the live one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// As declared.
    Unchanged,
    /// It does not exist.
    Created,
    /// Different, field by field.
    Configured(Vec<String>),
    /// Conflict: other managers own fields with other values.
    Conflict(Vec<String>),
}

/// The maximum number of differences, and the maximum length of a value.
const MAX_DIFFERENCES: usize = 8;
const LONGEST_VALUE: usize = 60;

/// Whether every field that `declared` sets is equal in `live`. Fields that the server adds do not count. A
/// "no" may still be equal for the server, which knows that `1000m` is `1`.
pub fn covers(live: &Object, declared: &Object) -> bool {
    let metadata = |object: &Object| serde_json::json!({"labels": object.metadata.labels, "annotations": object.metadata.annotations});
    includes(&metadata(live), &metadata(declared))
        && has_all(live.metadata.finalizers.as_ref(), declared.metadata.finalizers.as_ref())
        && has_all(live.metadata.owner_references.as_ref(), declared.metadata.owner_references.as_ref())
        && includes(&live.data, &without_status(&declared.data))
}

/// Other programs add their own entries to these.
fn has_all<T: PartialEq>(live: Option<&Vec<T>>, declared: Option<&Vec<T>>) -> bool {
    let live = live.map_or(&[][..], Vec::as_slice);
    declared.into_iter().flatten().all(|one| live.contains(one))
}

fn without_status(data: &Value) -> Value {
    let mut data = data.clone();
    if let Some(fields) = data.as_object_mut() {
        fields.remove("status");
    }
    data
}

fn includes(live: &Value, declared: &Value) -> bool {
    match (live, declared) {
        (_, Value::Null) => true,
        (Value::Object(live), Value::Object(declared)) => {
            declared.iter().all(|(key, value)| includes(live.get(key).unwrap_or(&Value::Null), value))
        }
        (Value::Array(live), Value::Array(declared)) => {
            live.len() == declared.len()
                && live.iter().zip(declared).all(|(live, declared)| includes(live, declared))
        }
        // The server omits empty values.
        (Value::Null, Value::Object(declared)) => {
            declared.values().all(|value| includes(&Value::Null, value))
        }
        (Value::Null, Value::Array(declared)) => declared.is_empty(),
        (live, declared) => live == declared,
    }
}

/// The first changes from `before` to `after`, field by field.
pub(super) fn differences(before: &Object, after: &Object) -> Vec<String> {
    let mut differences = field_differences(before, after);
    if differences.len() > MAX_DIFFERENCES {
        let more = differences.len() - MAX_DIFFERENCES;
        differences.truncate(MAX_DIFFERENCES);
        differences.push(format!("and {more} more fields"));
    }
    differences
}

/// The changes from `before` to `after`, field by field: `.spec.replicas 1 → 2`. For Secrets, only the field
/// names.
pub fn field_differences(before: &Object, after: &Object) -> Vec<String> {
    let is_secret = before.types.as_ref().is_some_and(|types| types.kind == "Secret");
    let mut differences = Vec::new();
    let labels = |object: &Object| serde_json::json!({"labels": object.metadata.labels, "annotations": object.metadata.annotations});
    diff(".metadata", &labels(before), &labels(after), is_secret, &mut differences);
    diff("", &without_status(&before.data), &without_status(&after.data), is_secret, &mut differences);
    differences
}

fn diff(path: &str, before: &Value, after: &Value, is_secret: bool, differences: &mut Vec<String>) {
    match (before, after) {
        (before, after) if before == after => {}
        (Value::Object(before), Value::Object(after)) => {
            let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for key in keys {
                let (before, after) =
                    (before.get(key).unwrap_or(&Value::Null), after.get(key).unwrap_or(&Value::Null));
                diff(&format!("{path}.{key}"), before, after, is_secret, differences);
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (at, (before, after)) in before.iter().zip(after).enumerate() {
                diff(&format!("{path}[{at}]"), before, after, is_secret, differences);
            }
        }
        _ if is_secret => differences.push(format!("{path} changes")),
        (before, after) => differences.push(format!("{path} {} → {}", shown(before), shown(after))),
    }
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => "unset".to_owned(),
        Value::String(text) => text.lines().next().unwrap_or_default().to_owned(),
        other => other.to_string(),
    };
    if text.chars().count() <= LONGEST_VALUE {
        return text;
    }
    text.chars().take(LONGEST_VALUE).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(kind: &str, data: &Value) -> Object {
        let mut value =
            json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "x", "labels": {"a": "b"}}});
        value.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_the_server_adds_does_not_count() {
        let declared = object("Service", &json!({"spec": {"ports": [{"port": 80}], "selector": {}}}));
        let live = object(
            "Service",
            &json!({"spec": {"ports": [{"port": 80, "protocol": "TCP"}], "type": "ClusterIP"}, "status": {"x": 1}}),
        );
        assert!(covers(&live, &declared));
        let other = object("Service", &json!({"spec": {"ports": [{"port": 81, "protocol": "TCP"}]}}));
        assert!(!covers(&other, &declared));
    }

    #[test]
    fn a_shorter_list_does_not_cover_a_longer_one() {
        let declared = object("X", &json!({"spec": {"list": [1, 2]}}));
        assert!(!covers(&object("X", &json!({"spec": {"list": [1]}})), &declared));
        assert!(!covers(&object("X", &json!({"spec": {"list": [1, 2, 3]}})), &declared));
    }

    #[test]
    fn owner_references_and_field_managers_count_too() {
        let with = |finalizers: &[&str], owner: &str| {
            let metadata = json!({"name": "x", "finalizers": finalizers, "ownerReferences": [
                {"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": "1"}]});
            serde_json::from_value::<Object>(json!({"apiVersion": "v1", "kind": "X", "metadata": metadata}))
                .unwrap()
        };
        assert!(covers(&with(&["a", "b"], "o"), &with(&["b"], "o")));
        assert!(!covers(&with(&["a"], "o"), &with(&["b"], "o")));
        assert!(!covers(&with(&["a"], "other"), &with(&["a"], "o")));
    }

    #[test]
    fn differences_are_reported_by_field() {
        let before = object("ConfigMap", &json!({"data": {"a": "1", "b": "2"}}));
        let after = object("ConfigMap", &json!({"data": {"a": "1", "b": "3", "c": "4"}}));
        assert_eq!(differences(&before, &after), [".data.b 2 → 3", ".data.c unset → 4"]);
    }

    #[test]
    fn secret_values_are_never_reported() {
        let before = object("Secret", &json!({"data": {"token": "b2xk"}}));
        let after = object("Secret", &json!({"data": {"token": "bmV3"}}));
        assert_eq!(differences(&before, &after), [".data.token changes"]);
    }
}
