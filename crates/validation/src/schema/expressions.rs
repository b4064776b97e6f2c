//! `x-kubernetes-validations`: the CEL rules of a schema.
//!
//! Rules that compile are checked; one that needs what only an API server knows (the old object, its own
//! functions) is not reported.

use serde_json::{Map, Value};

use crate::cel::{Cel, cel, evaluate};

/// A rule that a value breaks.
pub(super) struct Refusal {
    /// Its message.
    pub(super) message: String,
    pub(super) rule: String,
    /// The relative path of its field: `.tls`.
    pub(super) field: Option<String>,
}

pub(super) fn refused(value: &Value, schema: &Map<String, Value>) -> Vec<Refusal> {
    let rules = schema.get("x-kubernetes-validations").and_then(Value::as_array);
    let Some(rules) = rules.filter(|rules| !rules.is_empty()) else { return Vec::new() };
    let own = [("self", cel(value))];
    let broken = rules.iter().filter(|rule| {
        let text = rule["rule"].as_str().unwrap_or_default();
        !text.contains("oldSelf") && evaluate(text, &own) == Some(Cel::Bool(false))
    });
    let broken: Vec<Refusal> = broken.map(refusal).collect();
    if broken.is_empty() || super::is_unknown(&value.to_string()) { Vec::new() } else { broken }
}

fn refusal(rule: &Value) -> Refusal {
    let text = rule["rule"].as_str().unwrap_or_default();
    let message = rule["message"].as_str().unwrap_or(text);
    Refusal {
        message: message.trim().trim_end_matches('.').to_owned(),
        rule: format!("`{text}` must hold"),
        field: rule["fieldPath"].as_str().map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_that_can_be_answered_are() {
        let rule = |rule: &str| json!({"x-kubernetes-validations": [{"rule": rule, "message": "no."}]});
        let table = [
            ("self.a > 0", 0),
            ("self.a > 1", 1),
            ("has(self.b) && self.b == 'x'", 1),
            ("!has(self.b) || self.b == 'x'", 0),
            ("self.items.all(i, i.name != '')", 0),
            ("self.items.exists(i, i.name == 'z')", 1),
            ("self == oldSelf", 0),
            ("isURL(self.b)", 0),
            ("self.a ==", 0),
        ];
        let value = json!({"a": 1, "items": [{"name": "y"}]});
        for (text, broken) in table {
            let found = refused(&value, rule(text).as_object().unwrap());
            assert_eq!(found.len(), broken, "{text}");
        }
    }
}
