//! Validation of scalars and of counts.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ipnet::IpNet;
use regex::Regex;
use serde_json::{Map, Value};

/// The allowed values, if `value` is not allowed.
pub(super) fn refused(value: &Value, schema: &Map<String, Value>) -> Option<String> {
    let of_enum = || {
        let allowed = schema.get("enum")?.as_array()?;
        let names: Vec<String> = allowed.iter().filter(|value| *value != "").map(shown).collect();
        (!allowed.contains(value)).then(|| names.join(", "))
    };
    let of_value = || match value {
        Value::String(text) => of_text(text, schema),
        Value::Number(_) => of_number(value.as_f64()?, schema),
        Value::Array(items) => of_size(items.len(), "Items", "entry", "entries", schema),
        Value::Object(fields) => of_size(fields.len(), "Properties", "field", "fields", schema),
        _ => None,
    };
    of_enum().or_else(of_value)
}

fn of_text(text: &str, schema: &Map<String, Value>) -> Option<String> {
    let of_pattern = || {
        let pattern = schema.get("pattern")?.as_str()?;
        (!matches(pattern, text)).then(|| format!("a string that matches {pattern}"))
    };
    let of_format = || {
        let format = schema.get("format")?.as_str()?;
        (!has_format(format, text)).then(|| format!("a string of format {format}"))
    };
    of_size(text.chars().count(), "Length", "character", "characters", schema)
        .or_else(of_pattern)
        .or_else(of_format)
}

fn of_number(number: f64, schema: &Map<String, Value>) -> Option<String> {
    let limit = |name: &str| schema.get(name).and_then(Value::as_f64);
    let is = |name: &str| schema.get(name) == Some(&Value::Bool(true));
    let (least, most) = (limit("minimum"), limit("maximum"));
    let too_small = least.is_some_and(|least| number < least || (is("exclusiveMinimum") && number <= least));
    let too_large = most.is_some_and(|most| number > most || (is("exclusiveMaximum") && number >= most));
    match (least, most) {
        (Some(least), Some(most)) if too_small || too_large => Some(format!("{least} to {most}")),
        (Some(least), _) if too_small => Some(format!("{least} or more")),
        (_, Some(most)) if too_large => Some(format!("{most} or less")),
        _ => None,
    }
}

fn of_size(size: usize, of: &str, one: &str, many: &str, schema: &Map<String, Value>) -> Option<String> {
    let limit = |bound: &str| {
        Some(usize::try_from(schema.get(&format!("{bound}{of}"))?.as_u64()?).unwrap_or(usize::MAX))
    };
    let noun = |number: usize| if number == 1 { one } else { many };
    match (limit("min"), limit("max")) {
        (Some(least), _) if size < least => Some(format!("at least {least} {}", noun(least))),
        (_, Some(most)) if size > most => Some(format!("at most {most} {}", noun(most))),
        _ => None,
    }
}

thread_local! {
    /// The same patterns are matched for every object of a kind.
    static PATTERNS: RefCell<HashMap<String, Option<Regex>>> = RefCell::default();
}

/// An unsupported pattern matches everything.
fn matches(pattern: &str, text: &str) -> bool {
    PATTERNS.with_borrow_mut(|patterns| {
        let known = patterns.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).ok());
        known.as_ref().is_none_or(|regex| regex.is_match(text))
    })
}

/// Base64 as Go decodes it, which ignores trailing bits.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// Formats that API servers validate; others are ignored.
fn has_format(format: &str, text: &str) -> bool {
    match format {
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => text.parse::<IpNet>().is_ok(),
        "byte" => BASE64.decode(text.replace(['\n', '\r'], "").trim()).is_ok(),
        "date-time" => text.parse::<jiff::Timestamp>().is_ok(),
        _ => true,
    }
}

/// A value for display.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "a map".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(text) if text.chars().count() > 60 => {
            format!("\"{}…\"", text.chars().take(60).collect::<String>())
        }
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits() {
        let table = [
            (json!("abc"), json!({"pattern": "^[a-c]+$", "maxLength": 3}), None),
            (json!("abd"), json!({"pattern": "^[a-c]+$"}), Some("a string that matches ^[a-c]+$")),
            (json!("abcd"), json!({"maxLength": 3}), Some("at most 3 characters")),
            (json!(""), json!({"minLength": 1}), Some("at least 1 character")),
            (json!(0), json!({"minimum": 1, "maximum": 255}), Some("1 to 255")),
            (json!(1), json!({"minimum": 1, "exclusiveMinimum": true}), Some("1 or more")),
            (json!([]), json!({"minItems": 1}), Some("at least 1 entry")),
            (json!("x"), json!({"enum": ["a", "b"]}), Some("\"a\", \"b\"")),
            (json!("10.0.0.0/8"), json!({"format": "cidr"}), None),
            (json!("10.0.0.0/99"), json!({"format": "cidr"}), Some("a string of format cidr")),
            (json!("cGFzcw=="), json!({"format": "byte"}), None),
            (json!("cGFz\ncw==\n"), json!({"format": "byte"}), None),
            (json!("cGFz\r\nc3x="), json!({"format": "byte"}), None),
            (json!("plain"), json!({"format": "byte"}), Some("a string of format byte")),
            (json!("cGFz cw=="), json!({"format": "byte"}), Some("a string of format byte")),
            (json!("x"), json!({"pattern": "(?<broken"}), None),
        ];
        for (value, schema, expected) in table {
            assert_eq!(refused(&value, schema.as_object().unwrap()).as_deref(), expected, "{value} {schema}");
        }
    }
}
