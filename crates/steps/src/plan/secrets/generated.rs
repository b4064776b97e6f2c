//! Generated values of Secrets for a sandbox, where nothing real depends on them, in the expected format.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{age, bech32};
use bootstrapper_core::object::ObjectRef;

/// The generated value of a Secret's entry. Deterministic, so that a second run finds no change.
pub(in crate::plan) fn generated(id: &ObjectRef, key: &str) -> SecretString {
    let digest = Sha256::digest(format!("sandbox {id} {key}"));
    let word: String = STANDARD.encode(digest).chars().take(16).collect();
    let word = format!("sandbox-{}", word.replace(['/', '+'], "x"));
    let text = match key {
        // Any 32 bytes are a valid age key.
        _ if key.ends_with(".agekey") => bech32::encode(age::PREFIX, &digest).to_uppercase(),
        // The API server rejects invalid JSON.
        ".dockerconfigjson" => json!({"auths": registry(&word)}).to_string(),
        ".dockercfg" => registry(&word).to_string(),
        _ => word,
    };
    SecretString::from(text)
}

/// Credentials of a registry that does not exist.
fn registry(word: &str) -> serde_json::Value {
    json!({"registry.invalid": {"auth": STANDARD.encode(format!("sandbox:{word}"))}})
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn each_has_the_form_of_its_kind() {
        let id = ObjectRef::namespaced("v1", "Secret", "flux-system", "any");
        let of = |key: &str| generated(&id, key).expose_secret().to_owned();
        assert_eq!(of("password"), of("password"));
        assert_ne!(of("password"), of("username"));
        assert!(of("password").starts_with("sandbox-"));
        let key = of("age.agekey");
        assert!(age::holds_key(&key), "{key}");
        // The length of what `age-keygen` writes.
        assert_eq!(key.len(), "AGE-SECRET-KEY-1".len() + 52 + 6);
        let config: serde_json::Value = serde_json::from_str(&of(".dockerconfigjson")).unwrap();
        assert!(config["auths"]["registry.invalid"]["auth"].is_string());
    }
}
