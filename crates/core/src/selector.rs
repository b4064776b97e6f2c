//! Label selectors.

use std::collections::BTreeMap;

use serde_json::Value;

/// Whether a selector selects what has these labels. An empty one selects everything.
pub fn selects(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    let mut equal = selector["matchLabels"].as_object().into_iter().flatten();
    let mut expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    equal.all(|(name, value)| labels.get(name).map(String::as_str) == value.as_str())
        && expressions.all(|expression| {
            let own = expression["key"].as_str().and_then(|key| labels.get(key));
            let mut values = expression["values"].as_array().into_iter().flatten();
            let is_in = own.is_some_and(|own| values.any(|value| value == own));
            match expression["operator"].as_str() {
                Some("In") => is_in,
                Some("NotIn") => !is_in,
                Some("Exists") => own.is_some(),
                _ => own.is_none(),
            }
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_selected() {
        let labels = BTreeMap::from([("name".to_owned(), "guard".to_owned())]);
        let by = |operator: &str, values: &[&str]| json!({"matchExpressions": [{"key": "name", "operator": operator, "values": values}]});
        let table = [
            (Value::Null, true),
            (json!({}), true),
            (by("NotIn", &["guard", "kube-system"]), false),
            (by("NotIn", &["kube-system"]), true),
            (by("In", &["web"]), false),
            (by("In", &["web", "guard"]), true),
            (by("Exists", &[]), true),
            (by("DoesNotExist", &[]), false),
            (json!({"matchLabels": {"name": "guard"}}), true),
            (json!({"matchLabels": {"guarded": "yes"}}), false),
        ];
        for (selector, expected) in table {
            assert_eq!(selects(&selector, &labels), expected, "{selector}");
        }
    }
}
