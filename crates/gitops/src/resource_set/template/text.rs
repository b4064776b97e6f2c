//! Values as Go's `fmt` prints them.

use std::fmt::Write as _;

use serde_json::{Number, Value};

/// `%v`.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        other => within(other),
    }
}

/// The same, within a list or a map.
fn within(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::String(text) => text.clone(),
        Value::Number(number) => of_number(number),
        Value::Array(items) => format!("[{}]", items.iter().map(within).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let mut entries: Vec<_> = fields.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            let shown: Vec<String> =
                entries.iter().map(|(key, value)| format!("{key}:{}", within(value))).collect();
            format!("map[{}]", shown.join(" "))
        }
    }
}

/// Integers unchanged; others as `%v` prints a float64.
pub(super) fn of_number(number: &Number) -> String {
    let Some(float) = number.as_f64().filter(|_| number.as_i64().is_none() && number.as_u64().is_none())
    else {
        return number.to_string();
    };
    let scientific = format!("{float:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return float.to_string();
    }
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// `%q`, limited to what is the same in all versions.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_printed_as_go_prints_them() {
        for (number, expected) in [
            (json!(3), "3"),
            (json!(12_345_678), "12345678"),
            (json!(0.5), "0.5"),
            (json!(1.0), "1"),
            (json!(123_456.5), "123456.5"),
            (json!(1_000_000.0), "1e+06"),
            (json!(12_345_678.0), "1.2345678e+07"),
            (json!(0.000_01), "1e-05"),
        ] {
            assert_eq!(shown(&number), expected);
        }
    }
}
