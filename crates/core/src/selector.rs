//! Label selectors, with kube's semantics.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube_core::{Selector, SelectorExt as _};
use serde::Deserialize as _;
use serde_json::Value;

/// Whether a selector matches these labels. An empty one matches everything; a missing or invalid one,
/// nothing.
pub fn selects(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    parse(selector).is_some_and(|selector| selector.matches(labels))
}

/// The same, but a missing selector matches everything.
pub fn selects_by_default(selector: &Value, labels: &BTreeMap<String, String>) -> bool {
    selector.is_null() || selects(selector, labels)
}

/// The selector for an API request; none if it matches everything or nothing.
pub fn query(selector: &Value) -> Option<String> {
    parse(selector).filter(|selector| !selector.selects_all()).map(|selector| selector.to_string())
}

fn parse(selector: &Value) -> Option<Selector> {
    LabelSelector::deserialize(selector).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn by(operator: &str, values: &[&str]) -> Value {
        json!({"matchExpressions": [{"key": "name", "operator": operator, "values": values}]})
    }

    fn of(name: &str) -> BTreeMap<String, String> {
        BTreeMap::from([("name".to_owned(), name.to_owned())])
    }

    #[test]
    fn what_is_selected() {
        let labels = of("guard");
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
            assert_eq!(selects_by_default(&selector, &labels), expected, "{selector}");
            assert_eq!(selects(&selector, &labels), expected && !selector.is_null(), "{selector}");
        }
    }

    #[test]
    fn what_has_no_such_label_is_selected_by_what_it_lacks() {
        let table = [
            (by("In", &["web"]), false),
            (by("NotIn", &["web"]), true),
            (by("Exists", &[]), false),
            (by("DoesNotExist", &[]), true),
            (json!({"matchLabels": {"name": "guard"}}), false),
            (json!({"matchLabels": {}, "matchExpressions": []}), true),
        ];
        for (selector, expected) in table {
            assert_eq!(selects(&selector, &BTreeMap::new()), expected, "{selector}");
        }
    }

    #[test]
    fn all_of_a_selector_counts() {
        let selector = json!({
            "matchLabels": {"name": "guard"},
            "matchExpressions": [{"key": "old", "operator": "DoesNotExist"}],
        });
        assert!(selects(&selector, &of("guard")) && !selects(&selector, &of("web")));
        let mut old = of("guard");
        old.insert("old".to_owned(), String::new());
        assert!(!selects(&selector, &old));
        assert_eq!(query(&selector).as_deref(), Some("name=guard,!old"));
        assert_eq!(query(&json!({})), None);
    }

    #[test]
    fn what_is_no_selector_selects_nothing() {
        for selector in [by("Gt", &["1"]), json!("name=guard"), json!({"matchLabels": {"name": 1}})] {
            assert!(!selects(&selector, &of("guard")), "{selector}");
            assert!(!selects_by_default(&selector, &of("guard")), "{selector}");
        }
    }
}
