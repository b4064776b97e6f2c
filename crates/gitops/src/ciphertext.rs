//! Detects SOPS encryption: which objects, which values, in which format.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use bootstrapper_core::object::Object;
use bootstrapper_tools::SopsFormat;

/// Whether an object is encrypted as a whole, or is a Secret with encrypted values.
pub(super) fn is_encrypted(object: &Object) -> bool {
    let values = |field: &str| object.data[field].as_object().into_iter().flatten();
    let texts = values("stringData").filter_map(|(_, value)| Some(value.as_str()?.to_owned()));
    let encoded = values("data").filter_map(|(_, value)| String::from_utf8(unfolded(value)?).ok());
    is_whole(object) || (is_secret(object) && texts.chain(encoded).any(|value| is_ciphertext(&value)))
}

pub(super) fn is_whole(object: &Object) -> bool {
    object.data["sops"]["mac"].as_str().is_some_and(|mac| !mac.is_empty())
}

/// The decoded value of a Secret; kustomize folds long ones.
pub(super) fn unfolded(value: &Value) -> Option<Vec<u8>> {
    STANDARD.decode(value.as_str()?.replace('\n', "")).ok()
}

pub(super) fn is_secret(object: &Object) -> bool {
    object.types.as_ref().is_some_and(|types| types.kind == "Secret")
}

/// The format of a file, by its name.
pub(super) fn format_of(file: &Path) -> SopsFormat {
    let name = file.to_string_lossy();
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    if ends(&[".dockerconfigjson", ".json"]) {
        SopsFormat::Json
    } else if ends(&[".yaml", ".yml"]) {
        SopsFormat::Yaml
    } else if ends(&[".env"]) {
        SopsFormat::Dotenv
    } else if ends(&[".ini"]) {
        SopsFormat::Ini
    } else {
        SopsFormat::Binary
    }
}

fn mark(format: SopsFormat) -> &'static str {
    match format {
        SopsFormat::Binary | SopsFormat::Json => "\"mac\": \"ENC[",
        SopsFormat::Dotenv => "sops_mac=ENC[",
        SopsFormat::Ini => "[sops]",
        SopsFormat::Yaml => "mac: ENC[",
    }
}

pub(super) fn has_mark(content: &[u8], format: SopsFormat) -> bool {
    String::from_utf8_lossy(content).contains(mark(format))
}

/// The format of encrypted content that decrypts to the format `to`; none if it is not encrypted. A JSON
/// envelope may contain any bytes, unless JSON is wanted.
pub(super) fn format_within(content: &[u8], to: SopsFormat) -> Option<SopsFormat> {
    let enveloped = if to == SopsFormat::Binary { SopsFormat::Binary } else { SopsFormat::Json };
    [enveloped, SopsFormat::Dotenv, SopsFormat::Ini, SopsFormat::Yaml]
        .into_iter()
        .find(|format| has_mark(content, *format))
}

/// Whether a value is encrypted, or contains an encrypted one.
pub(super) fn is_ciphertext(value: &str) -> bool {
    value.starts_with("ENC[") || format_within(value.as_bytes(), SopsFormat::Binary).is_some()
}
