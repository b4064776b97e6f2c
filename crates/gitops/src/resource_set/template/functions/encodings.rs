//! YAML, JSON, Base64 and checksums.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::super::super::emit;
use super::super::Budget;
use super::{Arguments, Outcome, refused, unknown};
use bootstrapper_core::digest::sha256;

pub(super) fn of_encodings(given: &Arguments<'_>, budget: &mut Budget) -> Option<Outcome> {
    let mut written = |text: String| {
        budget.make(Some(text.len()))?;
        Ok(Value::from(text))
    };
    Some(match given.name {
        "toYaml" | "mustToYaml" => given.last().and_then(|value| written(emit::yaml(value))),
        "toJson" | "mustToJson" => given.last().and_then(|value| {
            let text = value.to_string();
            written(text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"))
        }),
        "toRawJson" | "mustToRawJson" => given.last().and_then(|value| written(value.to_string())),
        "fromJson" | "mustFromJson" => given.text(0).and_then(|text| {
            serde_json::from_str(text).map_err(|_| refused("`fromJson` is given what is no JSON"))
        }),
        "b64enc" => given.text(0).and_then(|text| written(STANDARD.encode(text))),
        "b64dec" => given.text(0).and_then(|text| {
            let decoded = STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            decoded.map(Value::from).ok_or_else(|| unknown("`b64dec` of what is no text"))
        }),
        "sha256sum" => given.text(0).map(|text| sha256(text).into()),
        "adler32sum" => given.text(0).map(|text| adler32(text).to_string().into()),
        _ => return None,
    })
}

/// The checksum in ids of inputs.
pub(in super::super::super) fn adler32(text: &str) -> u32 {
    let (a, b) = text.bytes().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    (b << 16) | a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_the_operator() {
        assert_eq!(adler32("foo"), 42_074_437);
        assert_eq!(adler32("baz"), 40_173_886);
    }
}
