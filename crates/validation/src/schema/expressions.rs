//! `x-kubernetes-validations`: the CEL rules of a schema.
//!
//! Rules that compile are checked; one that needs what only an API server knows (the old object, its own
//! functions) is not reported.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use cel::objects::Map as CelMap;
use cel::{Context, Program, Value as CelValue};
use serde_json::{Map, Value};

/// A violated rule.
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
    let own = cel_value(value);
    let broken = rules.iter().filter(|rule| {
        let text = rule["rule"].as_str().unwrap_or_default();
        !text.contains("oldSelf") && answer(text, &own) == Some(false)
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

thread_local! {
    /// The same rules are evaluated for every object of a kind.
    static PROGRAMS: RefCell<HashMap<String, Option<Rc<Program>>>> = RefCell::default();
}

fn answer(text: &str, value: &CelValue) -> Option<bool> {
    let program = PROGRAMS.with_borrow_mut(|programs| {
        programs.entry(text.to_owned()).or_insert_with(|| compiled(text).map(Rc::new)).clone()
    })?;
    let mut context = Context::default();
    context.add_variable_from_value("self", value.clone());
    // The library and its parser may panic on unexpected input.
    match catch_unwind(AssertUnwindSafe(|| program.execute(&context))).ok()? {
        Ok(CelValue::Bool(answer)) => Some(answer),
        _ => None,
    }
}

fn compiled(text: &str) -> Option<Program> {
    catch_unwind(AssertUnwindSafe(|| Program::compile(text))).ok()?.ok()
}

/// Integers are `int` in schemas, also those that JSON parses as unsigned.
fn cel_value(value: &Value) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(flag) => CelValue::Bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => CelValue::Int(whole),
            None => CelValue::Float(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => CelValue::String(text.clone().into()),
        Value::Array(items) => CelValue::List(items.iter().map(cel_value).collect::<Vec<_>>().into()),
        Value::Object(fields) => {
            let fields: HashMap<String, CelValue> =
                fields.iter().map(|(name, value)| (name.clone(), cel_value(value))).collect();
            CelValue::Map(CelMap::from(fields))
        }
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
