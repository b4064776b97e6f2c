//! No value of a secret leaves the program: a value is marked where it enters, and every text is searched
//! for marked values where it leaves. `docs/design/masking.md` has the rules.

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

/// Stands where a secret was. No letter or digit is in it, so that it is never a part of a secret.
pub const MASK: &str = "***";

static MARKED: LazyLock<RwLock<Marked>> = LazyLock::new(RwLock::default);

/// Marks a value of a secret: no text that leaves has it from now on, in whatever encoding.
///
/// What is marked besides the value: each of its lines if it has several, the leaves of a YAML or JSON
/// document, what comes after the name in `NAME=value`, the password of an address, and what base64 hides.
/// Values of fewer than 4 characters and words like `true` are not marked, since they would mask ordinary
/// text; values of fewer than 8 characters are found only as whole words.
pub fn mark(value: &str) {
    mark_parts(parts::of(value));
}

/// Marks the credentials in an address that is no secret otherwise.
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

/// Marks bytes that may be no text.
pub fn mark_bytes(value: &[u8]) {
    mark(&String::from_utf8_lossy(value));
    if std::str::from_utf8(value).is_err() {
        // Bytes that are no text leave as base64, or not at all.
        mark(&STANDARD.encode(value));
    }
}

/// Marks the values of a Secret, as it is declared or as the API server has it; other objects are left
/// alone, but for the Secrets in a List.
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

/// Marks `data` and `stringData` of a Secret of a type.
pub fn mark_secret(secret_type: &str, object: &Value) {
    let entries = |field: &str| object[field].as_object().into_iter().flatten();
    for (key, value) in entries("data") {
        // The API server adds both to every token; neither is a secret.
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
    // kubectl keeps there what it has applied.
    let applied =
        object["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"].as_str();
    if let Some(applied) = applied.and_then(|text| serde_json::from_str::<Value>(text).ok()) {
        mark_object(&applied);
    }
}

/// Whether sops has encrypted a value, or values in it: that may be seen by everybody, and what it stands for is
/// marked where it is decrypted.
pub fn is_encrypted(value: &[u8]) -> bool {
    String::from_utf8_lossy(value).contains("ENC[AES256_GCM,")
}

/// Marks the variables of this process that are secrets by their name.
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

/// `text` with a mask in place of each marked value, of each encoding of one, and of each that was cut off.
pub fn masked(text: &str) -> Cow<'_, str> {
    patterns::masked(matcher().masked(text, matcher::DEPTH))
}

/// The same for a large text that nobody sees: encodings that lie upon each other are not looked for.
pub fn masked_in_passing(text: &str) -> Cow<'_, str> {
    matcher().masked(text, 1)
}

fn matcher() -> Arc<Matcher> {
    let current = MARKED.read().unwrap_or_else(PoisonError::into_inner).matcher();
    current.unwrap_or_else(|| MARKED.write().unwrap_or_else(PoisonError::into_inner).rebuilt())
}
