//! Access to values of charts.

use serde_json::Value;

/// The value at a path; null if missing.
pub fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, name| &value[name])
}

/// Whether a value is true for YAML or charts: `true`, `"true"`.
pub fn is_true(value: &Value) -> bool {
    *value == true || value == "true"
}
