//! Renders values as YAML exactly like `sigs.k8s.io/yaml`: the result in a template depends on the quotes.

use serde_json::Value;

/// A value as YAML, with a trailing newline.
pub(super) fn yaml(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(fields) if !fields.is_empty() => map(fields, 0, &mut out),
        Value::Array(items) if !items.is_empty() => list(items, 0, &mut out),
        scalar => {
            out.push_str(&inline(scalar, 0));
            if !out.ends_with('\n') {
                out.push('\n');
            }
        }
    }
    out
}

fn map(fields: &serde_json::Map<String, Value>, indent: usize, out: &mut String) {
    let mut entries: Vec<_> = fields.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    for (at, (key, value)) in entries.into_iter().enumerate() {
        if at > 0 || out.ends_with('\n') {
            pad(indent, out);
        }
        out.push_str(&scalar(key));
        out.push(':');
        after_key(value, indent, out);
    }
}

fn after_key(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            out.push('\n');
            map(fields, indent + 2, out);
        }
        // Lists have the indent of their key.
        Value::Array(items) if !items.is_empty() => {
            out.push('\n');
            list(items, indent, out);
        }
        scalar => {
            out.push(' ');
            out.push_str(&inline(scalar, indent + 2));
            end(out);
        }
    }
}

fn list(items: &[Value], indent: usize, out: &mut String) {
    for (at, item) in items.iter().enumerate() {
        if at > 0 || out.ends_with('\n') {
            pad(indent, out);
        }
        out.push_str("- ");
        match item {
            Value::Object(fields) if !fields.is_empty() => map(fields, indent + 2, out),
            Value::Array(items) if !items.is_empty() => list(items, indent + 2, out),
            scalar => {
                out.push_str(&inline(scalar, indent + 2));
                end(out);
            }
        }
    }
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

fn end(out: &mut String) {
    if !out.ends_with('\n') {
        out.push('\n');
    }
}

/// A scalar, or an empty collection. A multi-line text begins with its block indicator.
fn inline(value: &Value, indent: usize) -> String {
    match value {
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
        Value::String(text) if text.contains('\n') && is_block(text) => block(text, indent),
        Value::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// Whether a text may be a block scalar: without characters that need escapes.
fn is_block(text: &str) -> bool {
    !text.chars().any(|c| c != '\n' && c != '\t' && c.is_control()) && !text.trim().is_empty()
}

fn block(text: &str, indent: usize) -> String {
    let body = text.trim_end_matches('\n');
    let sign = match text.len() - body.len() {
        0 => "-",
        1 => "",
        _ => "+",
    };
    let starts_with_space = text.starts_with([' ', '\n']);
    let mut out = format!("|{}{sign}\n", if starts_with_space { "2" } else { "" });
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        if !line.is_empty() {
            pad(indent, &mut out);
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

fn scalar(text: &str) -> String {
    if text.chars().any(char::is_control) {
        return Value::from(text).to_string();
    }
    if is_other_type(text) {
        return format!("\"{text}\"");
    }
    if is_plain(text) { text.to_owned() } else { format!("'{}'", text.replace('\'', "''")) }
}

/// Whether a text would be parsed as another type without quotes.
fn is_other_type(text: &str) -> bool {
    const WORDS: [&str; 13] =
        ["", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n", "<<", "="];
    let lower = text.to_ascii_lowercase();
    WORDS.contains(&lower.as_str()) || looks_like_number(text)
}

fn looks_like_number(text: &str) -> bool {
    let bare = text.trim_start_matches(['+', '-']);
    let first_digit = bare.trim_start_matches('.').starts_with(|c: char| c.is_ascii_digit());
    let is_word = matches!(bare.to_ascii_lowercase().as_str(), ".inf" | ".nan");
    let is_part = |c: char| c.is_ascii_hexdigit() || "._:xXoOeE+-TZ".contains(c);
    is_word || (first_digit && text.chars().all(is_part) && is_numeric(bare))
}

/// Numbers in any base, sexagesimal numbers, and dates.
fn is_numeric(bare: &str) -> bool {
    let plain = bare.replace('_', "");
    let of_base = |prefix: &str, base: u32| {
        plain.strip_prefix(prefix).is_some_and(|digits| u64::from_str_radix(digits, base).is_ok())
    };
    let is_sixty = plain.contains(':') && plain.split(':').all(|part| part.parse::<f64>().is_ok());
    let is_date = plain.len() >= 10
        && plain
            .split(['-', 'T'])
            .take(3)
            .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
        && plain.matches('-').count() >= 2;
    plain.parse::<f64>().is_ok()
        || of_base("0x", 16)
        || of_base("0o", 8)
        || of_base("0b", 2)
        || is_sixty
        || is_date
}

/// Whether a text needs no quotes.
fn is_plain(text: &str) -> bool {
    let first = text.chars().next().unwrap_or(' ');
    let second = text.chars().nth(1);
    let may_begin = match first {
        '-' | '?' | ':' => second.is_some_and(|c| !c.is_whitespace()),
        ',' | '[' | ']' | '{' | '}' | '#' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => {
            false
        }
        _ => true,
    };
    may_begin
        && !text.starts_with("---")
        && !text.starts_with("...")
        && !text.starts_with(' ')
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_as_go_writes_them() {
        let value = json!({
            "b": [1, {"x": "y", "z": []}, [2]], "a": {}, "text": "one\ntwo\n", "end": "one\ntwo", "on": "true",
            "number": "3", "plain": "<< inputs.x >>", "quoted": "<< inputs.x | default \"a: b\" >>", "none": null,
        });
        assert_eq!(
            yaml(&value),
            "a: {}\nb:\n- 1\n- x: \"y\"\n  z: []\n- - 2\nend: |-\n  one\n  two\nnone: null\nnumber: \"3\"\n\"on\": \"true\"\nplain: << inputs.x >>\nquoted: '<< inputs.x | default \"a: b\" >>'\ntext: |\n  one\n  two\n"
        );
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        for text in [
            "",
            " a",
            "a ",
            "a: b",
            "a #b",
            "- a",
            "-a",
            "1.2.3",
            "1e3",
            "0x1f",
            "10:30",
            "2026-01-01",
            "it's",
            "\"q\"",
            "\n",
            " \n",
            "\ta",
            "a\n\n",
            "\n\na",
            "  a\nb",
            "*",
            "&a",
            "!x",
            "%",
            "@",
            "null",
            "~",
            "...",
        ] {
            let value = json!({"k": [text, {"deep": text}], text: 1});
            let read: Value = bootstrapper_core::yaml::from_str(&yaml(&value), Path::new("x")).unwrap();
            assert_eq!(read, value, "{text:?}\n{}", yaml(&value));
        }
    }
}
