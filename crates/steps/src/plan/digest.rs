//! The digest of a step's desired state. It is public: secrets are excluded.

use secrecy::ExposeSecret as _;

use bootstrapper_core::digest::sha256;
use bootstrapper_core::masking::masked_in_passing;
use bootstrapper_core::object::Object;
use bootstrapper_gitops::{SecretValue, SecretValues};

/// The digest of objects; Secrets are left out.
pub(super) fn of_objects<'a>(
    objects: impl IntoIterator<Item = &'a Object>,
    secrets: &SecretValues,
) -> Option<String> {
    let is_secret = |object: &Object| object.types.as_ref().is_some_and(|types| types.kind == "Secret");
    let open: Vec<&Object> = objects.into_iter().filter(|object| !is_secret(object)).collect();
    (!open.is_empty()).then(|| serde_json::to_string(&open).ok().map(|text| of_text(text, secrets))).flatten()
}

/// The digest of a text that may contain secret values.
pub(super) fn of_text(mut text: String, secrets: &SecretValues) -> String {
    for value in secrets.values().flat_map(|secret| secret.values()).filter_map(SecretValue::known) {
        let value = value.expose_secret();
        if !value.is_empty() {
            text = text.replace(value, "…");
        }
    }
    // Also masks encoded values, and values of other Secrets in the repository.
    sha256(masked_in_passing(&text).as_bytes())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn object(kind: &str, value: &str) -> Object {
        let object = serde_json::json!({
            "apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}, "data": {"key": value},
        });
        serde_json::from_value(object).unwrap()
    }

    fn secrets(value: &str) -> SecretValues {
        let values = BTreeMap::from([("key".to_owned(), value.to_owned().into())]);
        [(("n".to_owned(), "s".to_owned()), values)].into_iter().collect()
    }

    #[test]
    fn a_digest_tells_objects_apart_and_nothing_of_secrets() {
        let none = SecretValues::default();
        let of = |objects: &[Object; 1], secrets: &SecretValues| of_objects(objects, secrets);
        assert_ne!(of(&[object("ConfigMap", "a")], &none), of(&[object("ConfigMap", "b")], &none));
        assert_eq!(of(&[object("Secret", "a")], &none), None);
        assert_eq!(
            of(&[object("ConfigMap", "hunter1")], &secrets("hunter1")),
            of(&[object("ConfigMap", "hunter2")], &secrets("hunter2")),
        );
    }
}
