//! Masks secrets within JSON, so that it stays valid JSON.

#![allow(clippy::string_slice, reason = "cut where something was found, which is between characters")]

use std::borrow::Cow;

use super::harmless;
use crate::masking::{MASK, masked};

/// JSON as masked text.
pub struct JsonText(String);

impl JsonText {
    /// Masks a JSON text, and escapes dangerous characters in it.
    pub fn of(json: &str) -> Self {
        let masked = masked_json(json);
        Self(harmless::text(&masked, harmless::Kind::Json).into_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The same JSON with every string and number masked that contains a secret.
pub fn masked_json(json: &str) -> Cow<'_, str> {
    let mut shown = String::new();
    let mut from = 0;
    let mut at = 0;
    let bytes = json.as_bytes();
    while at < bytes.len() {
        let (end, is_text) = match bytes[at] {
            b'"' => (end_of_text(bytes, at), true),
            b'-' | b'0'..=b'9' => {
                let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
                (at + bytes[at..].iter().take_while(|byte| is_part(byte)).count(), false)
            }
            _ => {
                at += 1;
                continue;
            }
        };
        if let Some(changed) = changed(&json[at..end], is_text) {
            shown.push_str(&json[from..at]);
            shown.push_str(&changed);
            from = end;
        }
        at = end;
    }
    if from == 0 {
        return Cow::Borrowed(json);
    }
    shown.push_str(&json[from..]);
    Cow::Owned(shown)
}

/// The masked string or number, if it must be masked.
fn changed(token: &str, is_text: bool) -> Option<String> {
    if !is_text {
        return matches!(masked(token), Cow::Owned(_)).then(|| format!("\"{MASK}\""));
    }
    let text: String = serde_json::from_str(token).ok()?;
    match masked(&text) {
        Cow::Owned(text) => serde_json::to_string(&text).ok(),
        Cow::Borrowed(_) => None,
    }
}

fn end_of_text(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::masking::mark;

    #[test]
    fn json_is_masked_within_its_texts_and_stays_json() {
        mark("json-\"secret\"-of-a-test");
        mark("90471147");
        let json = serde_json::json!({
            "text": "it is json-\"secret\"-of-a-test.", "number": 90_471_147, "json-\"secret\"-of-a-test": [true, 1.5],
        });
        let shown: serde_json::Value =
            serde_json::from_str(JsonText::of(&serde_json::to_string_pretty(&json).unwrap()).as_str())
                .unwrap();
        assert_eq!(shown, serde_json::json!({"text": "it is ***.", "number": "***", "***": [true, 1.5]}));
    }
}
