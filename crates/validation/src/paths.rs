//! Access to fields of objects by path.

use serde_json::Value;

/// Every value at a path, with its actual path: `spec.parentRefs[].name` yields `spec.parentRefs[0].name` and
/// so on. Missing and null values are skipped.
pub(super) fn values_at<'a>(value: &'a Value, path: &str) -> Vec<(String, &'a Value)> {
    let mut found = vec![(String::new(), value)];
    for step in path.split('.') {
        let (name, is_list) = step.strip_suffix("[]").map_or((step, false), |name| (name, true));
        found = found
            .into_iter()
            .flat_map(|(at, value)| {
                let at = if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
                let value = &value[name];
                match value.as_array() {
                    Some(items) if is_list => items
                        .iter()
                        .enumerate()
                        .map(|(number, item)| (format!("{at}[{number}]"), item))
                        .collect(),
                    _ if is_list || value.is_null() => Vec::new(),
                    _ => vec![(at, value)],
                }
            })
            .collect();
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_gone_through() {
        let value = json!({"a": [{"b": {"c": 1}}, {"b": {}}, {"b": {"c": 2}}], "d": "e"});
        let found = values_at(&value, "a[].b.c");
        assert_eq!(found, [("a[0].b.c".to_owned(), &json!(1)), ("a[2].b.c".to_owned(), &json!(2))]);
        assert_eq!(values_at(&value, "d")[0].0, "d");
        assert!(values_at(&value, "d[]").is_empty());
        assert!(values_at(&value, "x.y").is_empty());
    }
}
