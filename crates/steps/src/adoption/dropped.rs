//! Fields that are removed when kustomize-controller takes an object over. Before it applies, it turns the
//! entries of some other managers into its own; fields that only those owned, and that it does not set, are
//! then removed. A dry run of its apply does not show that.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use serde_json::Value;

/// The fields of `live` that are removed, as readable paths. `is_taken` returns which entries become the
/// controller's own.
pub(super) fn dropped(
    live: &Value,
    desired: &Value,
    entries: &[ManagedFieldsEntry],
    is_taken: impl Fn(&ManagedFieldsEntry) -> bool,
) -> Vec<String> {
    let (taken, others): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| is_taken(entry));
    let fields = |entries: Vec<&ManagedFieldsEntry>| -> Vec<Value> {
        entries.into_iter().filter_map(|entry| Some(entry.fields_v1.as_ref()?.0.clone())).collect()
    };
    let (taken, others) = (fields(taken), fields(others));
    let others: Vec<&Value> = others.iter().collect();
    let mut found = Vec::new();
    for owned in &taken {
        walk("", owned, live, Some(desired), &others, &mut found);
    }
    found.sort();
    found.dedup();
    found
}

fn walk(
    path: &str,
    owned: &Value,
    live: &Value,
    desired: Option<&Value>,
    others: &[&Value],
    found: &mut Vec<String>,
) {
    for (key, owned) in owned.as_object().into_iter().flatten() {
        let Some(live) = part(live, key) else { continue };
        let path = format!("{path}{}", shown(key));
        let desired = desired.and_then(|desired| part(desired, key));
        let others: Vec<&Value> = others.iter().filter_map(|other| other.get(key)).collect();
        // A removed list item is reported as a whole; of a map, its removed keys.
        let is_map = key.starts_with("f:") && owned.as_object().is_some_and(|fields| !fields.is_empty());
        if desired.is_none() && others.is_empty() && !is_map {
            found.push(path);
        } else {
            walk(&path, owned, live, desired, &others, found);
        }
    }
}

/// The part of a value that a key of `fieldsV1` refers to: a field, or an item of a list.
fn part<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    let (kind, rest) = key.split_once(':')?;
    match kind {
        "f" => value.get(rest),
        "k" => {
            let keys: Value = serde_json::from_str(rest).ok()?;
            let is_it = |item: &&Value| {
                keys.as_object()
                    .is_some_and(|keys| keys.iter().all(|(key, value)| item.get(key) == Some(value)))
            };
            value.as_array()?.iter().find(is_it)
        }
        "v" => {
            let wanted: Value = serde_json::from_str(rest).ok()?;
            value.as_array()?.iter().find(|item| **item == wanted)
        }
        _ => None,
    }
}

fn shown(key: &str) -> String {
    match key.split_once(':') {
        Some(("f", name)) => format!(".{name}"),
        Some((_, item)) => format!("[{}]", item.trim_matches(['{', '}']).replace('"', "")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(manager: &str, fields: &Value) -> ManagedFieldsEntry {
        serde_json::from_value(json!({"manager": manager, "operation": "Apply", "fieldsV1": fields})).unwrap()
    }

    fn told(live: &Value, desired: &Value, entries: &[(&str, Value)]) -> Vec<String> {
        let entries: Vec<_> = entries.iter().map(|(manager, fields)| entry(manager, fields)).collect();
        dropped(live, desired, &entries, |entry| entry.manager.as_deref() == Some("ours"))
    }

    #[test]
    fn fields_without_another_owner_are_dropped() {
        let live = json!({"data": {"a": "1", "b": "2", "c": "3"}});
        let ours = json!({"f:data": {".": {}, "f:a": {}, "f:b": {}, "f:c": {}}});
        let theirs = json!({"f:data": {"f:b": {}}});
        let desired = json!({"data": {"a": "1"}});
        assert_eq!(told(&live, &desired, &[("ours", ours.clone()), ("theirs", theirs)]), [".data.c"]);
        assert_eq!(told(&live, &json!({}), &[("ours", ours)]), [".data.a", ".data.b", ".data.c"]);
    }

    #[test]
    fn items_of_lists_are_found_by_their_keys() {
        let live = json!({"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}], "list": ["x", "y"]}});
        let desired = json!({"spec": {"ports": [{"port": 80}], "list": ["x"]}});
        let ours = json!({"f:spec": {
            "f:ports": {"k:{\"port\":80}": {".": {}, "f:name": {}, "f:port": {}}, "k:{\"port\":81}": {".": {}, "f:port": {}}},
            "f:list": {"v:\"x\"": {}, "v:\"y\"": {}},
        }});
        assert_eq!(
            told(&live, &desired, &[("ours", ours)]),
            [".spec.list[y]", ".spec.ports[port:80].name", ".spec.ports[port:81]"]
        );
    }

    #[test]
    fn already_removed_fields_are_not_dropped_again() {
        let ours = json!({"f:spec": {"f:gone": {}, "f:stays": {}}});
        let live = json!({"spec": {"stays": 1}});
        assert_eq!(told(&live, &live, &[("ours", ours)]), Vec::<String>::new());
    }
}
