//! Which Secrets and ConfigMaps the values of a chart, or an object, reference: by the field names that charts
//! and APIs use for it. The same text in other fields is no reference.

use serde_json::Value;

/// Suffixes of fields that reference a Secret or a ConfigMap, in lower case, by kind: charts use `secretName`,
/// `existingSecret`, `tlsSecret`, `extraEnvVarsCM`. `existingSecretPasswordKey` references a key.
const ENDS: [(&str, &[&str]); 2] = [
    (
        "Secret",
        &["secret", "secretname", "secretref", "secretkeyref", "secrets", "secretrefs", "secretkeyselector"],
    ),
    ("ConfigMap", &["configmap", "configmapname", "configmapref", "configmapkeyref", "configmaps", "varscm"]),
];

/// Whether a value references the Secret or ConfigMap with this name.
pub fn names_data(value: &Value, kind: &str, name: &str) -> bool {
    let Some((_, ends)) = ENDS.iter().find(|(of, _)| *of == kind) else { return false };
    let is_field = |field: &str| {
        let field: String = field.chars().filter(char::is_ascii_alphanumeric).collect();
        ends.iter().any(|end| field.to_ascii_lowercase().ends_with(end))
    };
    names(value, false, &is_field, kind, name)
}

/// `is_named`: whether the field of the value references objects of the kind.
fn names(value: &Value, is_named: bool, is_field: &dyn Fn(&str) -> bool, kind: &str, name: &str) -> bool {
    match value {
        Value::String(text) => is_named && text == name,
        Value::Array(items) => items.iter().any(|item| names(item, is_named, is_field, kind, name)),
        Value::Object(fields) => {
            // `secretKeyRef: {name}`, `imagePullSecrets: [{name}]`; `valuesFrom: [{kind: Secret, name}]`.
            ((is_named || fields.get("kind").is_some_and(|it| it == kind)) && value["name"] == name)
                || fields.iter().any(|(field, value)| names(value, is_field(field), is_field, kind, name))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_fields_that_name_secrets_do() {
        let named = [
            json!({"encryption": {"ipsec": {"secretName": "x"}}}),
            json!({"hubble": {"tls": {"server": {"existingSecret": "x"}}}}),
            json!({"instance": {"sync": {"pullSecret": "x"}}}),
            json!({"imagePullSecrets": [{"name": "x"}]}),
            json!({"global": {"imagePullSecrets": ["x"]}}),
            json!({"extraEnv": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "x", "key": "k"}}}]}),
            json!({"envFrom": [{"secretRef": {"name": "x"}}]}),
            json!({"extraVolumes": [{"name": "v", "secret": {"secretName": "x"}}]}),
            json!({"spec": {"authSecretRef": "x"}}),
            json!({"valuesFrom": [{"kind": "Secret", "name": "x"}]}),
        ];
        for value in named {
            assert!(names_data(&value, "Secret", "x"), "{value}");
            assert!(!names_data(&value, "ConfigMap", "x"), "{value}");
            assert!(!names_data(&value, "Secret", "y"), "{value}");
        }
        let others = [
            json!({"fullnameOverride": "x", "cluster": {"name": "x"}}),
            json!({"x": {"enabled": true}, "namespace": "x"}),
            json!({"existingSecretPasswordKey": "x"}),
            json!({"tls": {"secretsNamespace": {"name": "x"}}}),
            json!({"secretKeyRef": {"name": "y", "key": "x"}}),
            json!({"extraVolumes": [{"name": "x", "secret": {"secretName": "y"}}]}),
        ];
        for value in others {
            assert!(!names_data(&value, "Secret", "x"), "{value}");
        }
        for value in [
            json!({"cni": {"configMap": "x"}}),
            json!({"extraEnvVarsCM": "x"}),
            json!({"extraVolumes": [{"configMap": {"name": "x"}}]}),
        ] {
            assert!(names_data(&value, "ConfigMap", "x") && !names_data(&value, "Secret", "x"), "{value}");
        }
    }
}
