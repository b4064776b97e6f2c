//! The path of a value in a file encrypted by SOPS.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A path in the syntax of `jq` and `sops --extract`: `stringData.token`, `stringData["age.agekey"]`,
/// `list[0]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct SopsPath(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
enum Part {
    Key(String),
    Index(usize),
}

const FORMS: &str = "write `stringData.token`; quote a key that has dots: `stringData[\"age.agekey\"]`";

impl SopsPath {
    /// Parses a path; fails with what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refused = |why: &str| format!("invalid path `{text}` of a SOPS file: {why} ({FORMS})");
        let mut parts = Vec::new();
        let mut rest = text.trim();
        let mut is_first = true;
        while !rest.is_empty() {
            if let Some(within) = rest.strip_prefix('[') {
                let (part, after) = bracketed(within).map_err(&refused)?;
                parts.push(part);
                rest = after;
            } else {
                let plain = match rest.strip_prefix('.') {
                    Some(after) => after,
                    None if is_first => rest,
                    None => return Err(refused("a `.` or `[` is missing")),
                };
                let end = plain.find(['.', '[']).unwrap_or(plain.len());
                let (key, after) = plain.split_at_checked(end).unwrap_or((plain, ""));
                // jq's `.["key"]`.
                if !(key.is_empty() && after.starts_with('[')) {
                    parts.push(Part::Key(plain_key(key).map_err(&refused)?));
                }
                rest = after;
            }
            is_first = false;
        }
        if parts.is_empty() { Err(refused("it is empty")) } else { Ok(Self(parts)) }
    }

    /// The path of these keys.
    pub fn of_keys(keys: &[&str]) -> Self {
        Self(keys.iter().map(|key| Part::Key((*key).to_owned())).collect())
    }

    /// The value at this path in a document.
    pub fn find<'v>(&self, document: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(document, |value, part| match part {
            Part::Key(key) => value.get(key),
            Part::Index(index) => value.get(index),
        })
    }

    /// In the syntax of `sops --extract`.
    pub fn extract(&self) -> String {
        let part = |part: &Part| match part {
            Part::Key(key) => format!("[\"{key}\"]"),
            Part::Index(index) => format!("[{index}]"),
        };
        self.0.iter().map(part).collect()
    }
}

/// `"key"]…`, `'key']…` or `0]…`, and the rest.
fn bracketed(text: &str) -> Result<(Part, &str), &'static str> {
    for quote in ['"', '\''] {
        if let Some(quoted) = text.strip_prefix(quote) {
            let (key, after) = quoted.split_once(quote).ok_or("a quote is not closed")?;
            let after = after.strip_prefix(']').ok_or("a `]` is missing")?;
            return Ok((Part::Key(plain_key(key)?), after));
        }
    }
    let (index, after) = text.split_once(']').ok_or("a `]` is missing")?;
    let index = index.parse().map_err(|_| "a key in brackets needs quotes")?;
    Ok((Part::Index(index), after))
}

/// sops supports no escapes: it splits a path at each bracket.
fn plain_key(key: &str) -> Result<String, &'static str> {
    match key {
        "" => Err("a key is empty"),
        _ if key.contains(['[', ']', '"', '\'', '\\', '\0']) => {
            Err("sops takes no key with brackets, quotes or backslashes")
        }
        _ => Ok(key.to_owned()),
    }
}

impl fmt::Display for SopsPath {
    /// `stringData.token`, `stringData["age.agekey"]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in self.0.iter().enumerate() {
            match part {
                Part::Index(index) => write!(f, "[{index}]")?,
                Part::Key(key) if key.contains('.') => write!(f, "[\"{key}\"]")?,
                Part::Key(key) if at == 0 => f.write_str(key)?,
                Part::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for SopsPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl JsonSchema for SopsPath {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SopsPath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "The path of a value: `stringData.token`, `stringData[\"age.agekey\"]`, `list[0]`.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_as_jq_and_sops_write_it() {
        for (text, extract, shown) in [
            ("token", r#"["token"]"#, "token"),
            ("stringData.token", r#"["stringData"]["token"]"#, "stringData.token"),
            (".stringData.token", r#"["stringData"]["token"]"#, "stringData.token"),
            (r#"stringData["age.agekey"]"#, r#"["stringData"]["age.agekey"]"#, r#"stringData["age.agekey"]"#),
            (
                r#"["stringData"]["age.agekey"]"#,
                r#"["stringData"]["age.agekey"]"#,
                r#"stringData["age.agekey"]"#,
            ),
            (r#".data["a.b"].c"#, r#"["data"]["a.b"]["c"]"#, r#"data["a.b"].c"#),
            (r#".["a"]"#, r#"["a"]"#, "a"),
            ("data['tls.key']", r#"["data"]["tls.key"]"#, r#"data["tls.key"]"#),
            ("list[0].name", r#"["list"][0]["name"]"#, "list[0].name"),
        ] {
            let path = SopsPath::parse(text).unwrap();
            assert_eq!(path.extract(), extract, "{text}");
            assert_eq!(path.to_string(), shown, "{text}");
            assert_eq!(SopsPath::parse(&path.to_string()).unwrap(), path, "{text}");
        }
        for (text, why) in [
            ("", "empty"),
            ("a..b", "empty"),
            ("a[b]", "quotes"),
            (r#"a["b"#, "not closed"),
            (r#"a["b""#, "missing"),
            (r#"a["b"]c"#, "missing"),
            (r#"a["b\\c"]"#, "backslashes"),
            (r#"a["b]c"]"#, "brackets"),
            ("a.b\"c", "quotes"),
        ] {
            assert!(SopsPath::parse(text).unwrap_err().contains(why), "{text}: {:?}", SopsPath::parse(text));
        }
    }
}
