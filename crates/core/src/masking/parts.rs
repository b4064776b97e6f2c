//! Which parts of a secret value are secret themselves.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use regex::Regex;
use serde_json::Value;

use super::matcher::LONG;
use crate::yaml;

/// Shorter values are not marked: they would match everywhere.
const SHORTEST: usize = 4;
/// Longer documents are processed line by line.
const LONGEST_DOCUMENT: usize = 1024 * 1024;
/// A URL path of this length may be a secret itself, as in webhook URLs.
const LONG_PATH: usize = 20;
/// The maximum depth of values within values.
const DEPTH: usize = 4;

/// Common words that are not secret and appear in ordinary text.
const ORDINARY: [&str; 34] = [
    "true",
    "false",
    "null",
    "none",
    "nil",
    "undefined",
    "enabled",
    "disabled",
    "default",
    "admin",
    "administrator",
    "root",
    "user",
    "username",
    "password",
    "secret",
    "token",
    "localhost",
    "opaque",
    "string",
    "latest",
    "main",
    "master",
    "prod",
    "production",
    "staging",
    "test",
    "http",
    "https",
    "postgres",
    "flux",
    "unresolved",
    "kube-system",
    "flux-system",
];

/// Field names whose numbers are secret, however short.
static NAMES_OF_SECRETS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)pass|pin|secret|token|key|code|credential").ok());
/// `NAME=value`, `name: value`.
static ASSIGNMENT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"^(?:export\s+)?["']?[A-Za-z_][\w.@-]*["']?\s*[=:]\s*(\S.*)$"#).ok());

/// All parts of a value to mark.
pub(super) fn of(value: &str) -> BTreeSet<String> {
    let mut parts = Parts::default();
    parts.text(value, DEPTH);
    parts.0
}

/// The credentials in an address.
pub(super) fn of_address(address: &str) -> BTreeSet<String> {
    let mut parts = Parts::default();
    parts.credentials(address);
    parts.0
}

#[derive(Default)]
struct Parts(BTreeSet<String>);

impl Parts {
    fn text(&mut self, value: &str, depth: usize) {
        let value = value.trim_matches(|one: char| one.is_whitespace() || one == '\0');
        if value.is_empty() || depth == 0 {
            return;
        }
        let lines: Vec<&str> = value.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        if let Some(document) = document(value, lines.len()) {
            self.leaves(&document, "", depth - 1);
            // Parser errors quote whole lines, including comments.
            for line in lines.iter().filter(|line| line.starts_with('#')) {
                self.one(line.trim_start_matches(['#', ' ']));
            }
            if lines.len() == 1 {
                self.one(value);
            }
            return;
        }
        if let [line] = lines.as_slice() {
            self.line(line, depth);
            return;
        }
        let mut is_public = false;
        for line in lines {
            if let Some(title) = line.strip_prefix("-----BEGIN ") {
                is_public = is_public_block(title);
            } else if line.starts_with("-----END ") {
                is_public = false;
            } else if !is_public {
                self.line(line, depth);
            }
        }
    }

    /// A line, and its parts.
    fn line(&mut self, line: &str, depth: usize) {
        self.one(line);
        let assigned = ASSIGNMENT.as_ref().and_then(|form| form.captures(line)?.get(1));
        if let Some(assigned) = assigned.filter(|assigned| !assigned.as_str().starts_with("//")) {
            self.text(unquoted(assigned.as_str()), depth - 1);
        }
        self.address(line);
        if let Some(text) = hidden(line) {
            self.text(&text, depth - 1);
        }
    }

    /// The secret parts of a URL that comes from a secret.
    fn address(&mut self, text: &str) {
        let Some(url) = self.credentials(text) else { return };
        for (_, value) in url.query_pairs() {
            if value.chars().count() >= LONG {
                self.one(&value);
            }
        }
        if url.path().len() >= LONG_PATH {
            self.one(url.path());
        }
    }

    /// The part before the host, and the URL, if the text is one.
    fn credentials(&mut self, text: &str) -> Option<url::Url> {
        let url = text.contains("://").then(|| url::Url::parse(text).ok()).flatten()?;
        if let Some(raw) = text.split_once("://").and_then(|(_, rest)| {
            let (user, _) = rest.split(['/', '?', '#']).next()?.rsplit_once('@')?;
            Some(user.split_once(':').map_or(user, |(_, password)| password))
        }) {
            self.one(raw);
        }
        if let Some(password) = url.password() {
            self.one(&unescaped(password));
        }
        Some(url)
    }

    fn leaves(&mut self, value: &Value, name: &str, depth: usize) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    self.leaves(value, name, depth);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.leaves(item, name, depth)),
            Value::String(text) => {
                let is_word = text.len() < LONG && !text.chars().any(|one| one.is_ascii_digit());
                if !(is_word && !is_named_as_secret(name) || matches!(name, "apiVersion" | "kind")) {
                    self.text(text, depth);
                }
            }
            Value::Number(number) => {
                let text = number.to_string();
                if is_named_as_secret(name) || text.len() >= 6 {
                    self.one(&text);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn one(&mut self, value: &str) {
        let value = value.trim();
        let count = value.chars().count();
        let is_ordinary = ORDINARY.iter().any(|word| value.eq_ignore_ascii_case(word));
        let says_something = value.chars().any(char::is_alphanumeric) || count >= LONG;
        if count >= SHORTEST && says_something && !is_ordinary {
            self.0.insert(value.to_owned());
        }
    }
}

fn is_named_as_secret(name: &str) -> bool {
    NAMES_OF_SECRETS.as_ref().is_some_and(|names| names.is_match(name))
}

/// Whether a PEM block with this title is public.
fn is_public_block(title: &str) -> bool {
    let title = title.trim_end_matches('-');
    ["CERTIFICATE", "PUBLIC KEY", "CERTIFICATE REQUEST", "X509 CRL", "DH PARAMETERS", "EC PARAMETERS"]
        .iter()
        .any(|public| title == *public || title.ends_with(&format!(" {public}")))
}

/// The document in a value, if it has fields or items.
fn document(value: &str, lines: usize) -> Option<Value> {
    if value.len() > LONGEST_DOCUMENT {
        return None;
    }
    let document: Value = if value.starts_with(['{', '[']) {
        serde_json::from_str(value).ok().or_else(|| yaml::values_from_str(value, Path::new("it")).ok())?
    } else if lines > 1 && value.contains(':') {
        yaml::values_from_str(value, Path::new("it")).ok()?
    } else {
        return None;
    };
    (document.is_object() || document.is_array()).then_some(document)
}

fn unquoted(text: &str) -> &str {
    let text = text.trim().trim_end_matches([',', ';']);
    ['"', '\''].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote)).unwrap_or(text)
}

/// The decoded base64.
fn hidden(text: &str) -> Option<String> {
    let bare = text.trim_end_matches('=');
    let decoded = STANDARD_NO_PAD.decode(bare).or_else(|_| URL_SAFE_NO_PAD.decode(bare)).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let is_text = |one: char| !one.is_control() || matches!(one, '\n' | '\r' | '\t');
    (text.len() >= LONG && text.chars().all(is_text)).then_some(text)
}

fn unescaped(text: &str) -> String {
    let form = format!("x={}", text.replace('+', "%2B"));
    url::form_urlencoded::parse(form.as_bytes())
        .next()
        .map_or_else(|| text.to_owned(), |(_, value)| value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_marked_of_an_address() {
        let table: [(&str, &[&str]); 5] = [
            ("https://me:hun%20ter@host/a/long/path/of/a/repository.git", &["hun ter", "hun%20ter"]),
            ("https://ghp_0123456789@host/x", &["ghp_0123456789"]),
            ("ssh://git@host/x", &[]),
            ("oci://host/x", &[]),
            ("no address", &[]),
        ];
        for (address, expected) in table {
            assert_eq!(
                of_address(address).iter().map(String::as_str).collect::<Vec<_>>(),
                expected,
                "{address}"
            );
        }
    }

    #[test]
    fn what_is_marked_of_a_value() {
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----\n";
        let certificate = "-----BEGIN CERTIFICATE-----\nMIIDBTCCAe2gAwIB\n-----END CERTIFICATE-----\n";
        let table: [(&str, &[&str]); 18] = [
            ("", &[]),
            ("true", &[]),
            ("1", &[]),
            ("abc", &[]),
            ("Admin", &[]),
            ("4711\n", &["4711"]),
            ("hunter2", &["hunter2"]),
            ("one line\nand another", &["and another", "one line"]),
            (key, &["MIIEpAIBAAKCAQEA"]),
            (certificate, &[]),
            ("password: hunter2\nreplicas: 3000\nport: 12\n# was swordfish\n", &["hunter2", "was swordfish"]),
            ("pin: 4711\nuser: alice\n", &["4711"]),
            (r#"{"a":{"token":"abcd"}}"#, &["abcd", r#"{"a":{"token":"abcd"}}"#]),
            ("A=hunter2\nB='sword fish'\n", &["A=hunter2", "B='sword fish'", "hunter2", "sword fish"]),
            ("me:hunter2", &["hunter2", "me:hunter2"]),
            ("https://me:hun%20ter@host/x", &["https://me:hun%20ter@host/x", "hun ter", "hun%20ter"]),
            (
                "https://hooks.host/services/T0/B0/abcdefgh",
                &["/services/T0/B0/abcdefgh", "https://hooks.host/services/T0/B0/abcdefgh"],
            ),
            ("bWU6aHVudGVyMg==", &["bWU6aHVudGVyMg==", "hunter2", "me:hunter2"]),
        ];
        for (value, expected) in table {
            let parts = of(value);
            assert_eq!(parts.iter().map(String::as_str).collect::<Vec<_>>(), expected, "{value}");
        }
    }
}
