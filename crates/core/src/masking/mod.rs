//! No secret value leaves the program: a value is marked where it is read, and every output is searched for
//! marked values. See `docs/design/masking.md` for the rules.

mod base64_views;
mod matcher;
mod parts;
mod patterns;
mod set;
mod view;
mod views;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;
use serde_json::Value;

use self::matcher::Matcher;
use self::set::Marked;

/// Replaces a secret. It contains no letter or digit, so that it is never a part of a secret.
pub const MASK: &str = "***";

static MARKED: LazyLock<RwLock<Marked>> = LazyLock::new(RwLock::default);

/// Marks a secret value: from now on it is masked in all output, in any encoding.
///
/// Also marks each of its lines, the leaves of a YAML or JSON document, the value in `NAME=value`, the
/// password of a URL, and decoded base64. Values of fewer than 4 characters and words like `true` are not
/// marked, since masking them would garble ordinary text; values of fewer than 8 characters match only whole
/// words.
pub fn mark(value: &str) {
    mark_parts(parts::of(value));
}

/// Marks the credentials in a URL that is otherwise not secret.
pub fn mark_address(address: &str) {
    mark_parts(parts::of_address(address));
}

fn mark_parts(parts: BTreeSet<String>) {
    let is_new = {
        let marked = MARKED.read().unwrap_or_else(PoisonError::into_inner);
        parts.iter().any(|part| !marked.has(part))
    };
    if is_new {
        MARKED.write().unwrap_or_else(PoisonError::into_inner).extend(parts);
    }
}

/// Marks bytes that may not be text.
pub fn mark_bytes(value: &[u8]) {
    mark(&String::from_utf8_lossy(value));
    if std::str::from_utf8(value).is_err() {
        // Binary data appears only as base64 in output.
        mark(&STANDARD.encode(value));
    }
}

/// Marks the values of a Secret, as declared or as returned by the API server; also of Secrets in a List.
/// Other objects are ignored.
pub fn mark_object(object: &Value) {
    if let Some(items) = object["items"].as_array() {
        items.iter().for_each(mark_object);
    }
    if object["kind"] == "SecretList" {
        let items = object["items"].as_array().into_iter().flatten();
        items.for_each(|item| mark_secret(item["type"].as_str().unwrap_or_default(), item));
    }
    if object["kind"] == "Secret" {
        mark_secret(object["type"].as_str().unwrap_or_default(), object);
    }
}

/// Marks `data` and `stringData` of a Secret of the given type.
pub fn mark_secret(secret_type: &str, object: &Value) {
    let entries = |field: &str| object[field].as_object().into_iter().flatten();
    for (key, value) in entries("data") {
        // The API server adds both to every token; neither is secret.
        if secret_type == "kubernetes.io/service-account-token" && (key == "namespace" || key == "ca.crt") {
            continue;
        }
        // The Flux operator notes there who sold it: a word of the name of its own API.
        if key == "vendor" && object["metadata"]["labels"]["app.kubernetes.io/component"] == "entitlement" {
            continue;
        }
        let Some(text) = value.as_str() else { continue };
        let folded: String = text.split_whitespace().collect();
        match STANDARD.decode(&folded) {
            _ if is_encrypted(text.as_bytes()) => {}
            Ok(decoded) if is_encrypted(&decoded) => {}
            Ok(decoded) => mark_bytes(&decoded),
            Err(_) => mark(text),
        }
    }
    for (_, value) in entries("stringData") {
        match value.as_str() {
            Some(text) if is_encrypted(text.as_bytes()) => {}
            Some(text) => mark(text),
            None => mark(&value.to_string()),
        }
    }
    // kubectl stores the applied object there.
    let applied =
        object["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"].as_str();
    if let Some(applied) = applied.and_then(|text| serde_json::from_str::<Value>(text).ok()) {
        mark_object(&applied);
    }
}

/// Whether sops has encrypted a value, or values in it: the ciphertext is public, and the plaintext is marked
/// where it is decrypted.
pub fn is_encrypted(value: &[u8]) -> bool {
    String::from_utf8_lossy(value).contains("ENC[AES256_GCM,")
}

/// Marks the environment variables of this process that have a secret-like name.
pub fn mark_environment() {
    static NAMES: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?i)(password|passwd|passphrase|secret|token|api_?key|access_?key|private_?key|credentials?)$|^SOPS_AGE_KEY$").ok()
    });
    for (name, value) in std::env::vars_os() {
        let is_secret = NAMES.as_ref().zip(name.to_str()).is_some_and(|(names, name)| names.is_match(name));
        if is_secret && value.len() >= matcher::LONG {
            mark_bytes(value.as_encoded_bytes());
        }
    }
}

/// `text` with each marked value masked, including encoded and truncated ones.
pub fn masked(text: &str) -> Cow<'_, str> {
    patterns::masked(matcher().masked(text, matcher::DEPTH))
}

/// The same for a large text that is not displayed: nested encodings are not decoded.
pub fn masked_in_passing(text: &str) -> Cow<'_, str> {
    matcher().masked(text, 1)
}

fn matcher() -> Arc<Matcher> {
    let current = MARKED.read().unwrap_or_else(PoisonError::into_inner).matcher();
    current.unwrap_or_else(|| MARKED.write().unwrap_or_else(PoisonError::into_inner).rebuilt())
}
