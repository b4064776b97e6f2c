//! Fields as the original parses them: some fields with a wrong type count as missing, others make the whole
//! object invalid.

use serde_json::Value;

use super::super::conditions;
use bootstrapper_core::object::Object;

/// A field with a wrong type.
pub(super) struct Malformed(pub(super) &'static str);

/// A condition with fields of the right types.
pub(super) struct Condition<'a> {
    pub(super) kind: &'a str,
    pub(super) status: &'a str,
    pub(super) reason: &'a str,
    value: &'a Value,
}

impl Condition<'_> {
    pub(super) fn is_true(&self) -> bool {
        self.status == "True"
    }

    pub(super) fn describe(&self) -> String {
        conditions::describe(self.value)
    }
}

/// The conditions of an object (`GetObjectWithConditions`).
pub(super) fn conditions(object: &Object) -> Result<Vec<Condition<'_>>, Malformed> {
    let status = match object.data.get("status") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(status)) => status,
        Some(_) => return Err(Malformed("status")),
    };
    match status.get("conditions") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(all)) => all.iter().map(condition).collect(),
        Some(_) => Err(Malformed("status.conditions")),
    }
}

fn condition(value: &Value) -> Result<Condition<'_>, Malformed> {
    let malformed = Malformed("status.conditions");
    if !(value.is_object() || value.is_null()) {
        return Err(malformed);
    }
    let field = |name: &str| match value.get(name) {
        None | Some(Value::Null) => Some(""),
        Some(value) => value.as_str(),
    };
    match (field("type"), field("status"), field("reason"), field("message")) {
        (Some(kind), Some(status), Some(reason), Some(_)) => Ok(Condition { kind, status, reason, value }),
        _ => Err(malformed),
    }
}

/// An integer of the status; none if missing (`NestedInt64`).
pub(super) fn integer(object: &Object, field: &'static str) -> Result<Option<i64>, Malformed> {
    let status = match object.data.get("status") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(status)) => status,
        Some(_) => return Err(Malformed("status")),
    };
    match status.get(field) {
        None => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or(Malformed("status.observedGeneration")),
    }
}

/// An integer at a path like `/spec/replicas`; `otherwise` if missing (`GetIntField`).
pub(super) fn number(object: &Object, path: &str, otherwise: i64) -> i64 {
    object.data.pointer(path).and_then(Value::as_i64).unwrap_or(otherwise)
}

/// A text at a path; `otherwise` if missing (`GetStringField`).
pub(super) fn text<'a>(object: &'a Object, path: &str, otherwise: &'a str) -> &'a str {
    object.data.pointer(path).and_then(Value::as_str).unwrap_or(otherwise)
}
