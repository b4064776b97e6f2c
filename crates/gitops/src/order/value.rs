//! Values of charts, as they are asked for.

use serde_json::Value;

/// The value at a path of names; null if there is none.
pub fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, name| &value[name])
}

/// Whether a value is true, as YAML or charts have it: `true`, `"true"`.
pub fn is_true(value: &Value) -> bool {
    *value == true || value == "true"
}
