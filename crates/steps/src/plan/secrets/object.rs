//! The Secrets to apply.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;

use bootstrapper_core::object::{Complete, Object};
use bootstrapper_gitops::{SecretValue, SeededSecret};

/// The Secret, if all its values are known.
pub(super) fn whole(
    secret: &SeededSecret,
    values: &BTreeMap<String, SecretValue>,
) -> Option<Complete<Object>> {
    let encode =
        |(key, value): (_, &SecretValue)| Some((key, STANDARD.encode(value.known()?.expose_secret())));
    let data = values.iter().map(encode).collect::<Option<BTreeMap<&String, String>>>()?;
    let mut fields = serde_json::json!({
        "type": secret.type_.as_deref().unwrap_or("Opaque"),
        "data": data,
    });
    if secret.immutable {
        fields["immutable"] = true.into();
    }
    Some(Complete::of_own(named(secret).data(fields)))
}

/// The Secret without its values.
pub(super) fn named(secret: &SeededSecret) -> Object {
    let resource = kube::api::ApiResource::erase::<k8s_openapi::api::core::v1::Secret>(&());
    let mut object = Object::new(&secret.name, &resource).within(&secret.namespace);
    let some = |texts: &BTreeMap<String, String>| (!texts.is_empty()).then(|| texts.clone());
    object.metadata.labels = some(&secret.labels);
    object.metadata.annotations = some(&secret.annotations);
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use bootstrapper_core::failure::Failure;

    #[test]
    fn a_secret_of_which_one_value_is_not_known_is_no_object_to_apply() {
        let secret = SeededSecret {
            name: "s".into(),
            namespace: "n".into(),
            type_: None,
            labels: [("l".to_owned(), "1".to_owned())].into(),
            annotations: BTreeMap::new(),
            immutable: true,
            values: BTreeMap::new(),
        };
        let known: BTreeMap<String, SecretValue> = [("a".to_owned(), "x".into())].into();
        let object = whole(&secret, &known).unwrap();
        assert_eq!(object.data["data"]["a"], STANDARD.encode("x"));
        assert_eq!((&object.data["type"], &object.data["immutable"]), (&"Opaque".into(), &true.into()));
        assert_eq!(object.metadata.labels.as_ref().unwrap()["l"], "1");
        assert!(object.metadata.annotations.is_none());
        let mut lacking = known;
        lacking.insert("b".to_owned(), SecretValue::Unknown(Failure::input("no b")));
        assert!(whole(&secret, &lacking).is_none());
    }
}
