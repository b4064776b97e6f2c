//! Our own schemas of Flux's kinds: `flux.yaml`, in a shorthand that a person can read.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Known, Scope};
use crate::object::ObjectRef;
use crate::yaml;

const SHORTHAND: &str = include_str!("flux.yaml");

/// Kinds whose other versions Flux no longer serves.
static SCHEMAS: LazyLock<BTreeMap<(String, String), Value>> = LazyLock::new(|| {
    let kinds: Vec<Shorthand> = yaml::from_str(SHORTHAND, Path::new("flux.yaml")).unwrap_or_default();
    kinds.into_iter().map(|one| ((one.api_version.clone(), one.kind.clone()), one.schema())).collect()
});

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Shorthand {
    api_version: String,
    kind: String,
    spec: Value,
}

impl Shorthand {
    fn schema(&self) -> Value {
        json!({"type": "object", "required": ["spec"], "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": expanded(&self.spec),
            "status": {"type": "object"},
        }})
    }
}

pub(super) fn known(id: &ObjectRef) -> Known<'static> {
    if let Some(schema) = SCHEMAS.get(&(id.api_version.clone(), id.kind.clone())) {
        let source = "Flux 2.9".to_owned();
        return Known::Schema { schema, definitions: &Value::Null, scope: Scope::Namespaced, source };
    }
    let is_it = |(version, kind): &&(String, String)| {
        *kind == id.kind && version.split('/').next() == Some(id.group())
    };
    let others: Vec<String> = SCHEMAS.keys().filter(is_it).map(|(version, _)| version.clone()).collect();
    if others.is_empty() { Known::Nothing } else { Known::OtherVersions(others) }
}

/// The structural schema that the shorthand stands for.
fn expanded(short: &Value) -> Value {
    match short {
        Value::Array(items) => json!({"type": "array", "items": items.first().map(expanded)}),
        Value::Object(fields) => map(fields),
        Value::String(word) => scalar(word),
        _ => json!({}),
    }
}

fn map(fields: &Map<String, Value>) -> Value {
    if let Some(any) = fields.get("*") {
        return json!({"type": "object", "additionalProperties": expanded(any)});
    }
    let mut schema = json!({"type": "object", "properties": {}, "required": []});
    for (name, short) in fields {
        match name.as_str() {
            "$rule" => {
                schema["x-kubernetes-validations"] = json!([{"rule": short, "message": fields["$says"]}]);
            }
            "$says" => {}
            name => {
                let bare = name.trim_end_matches('!');
                schema["properties"][bare] = expanded(short);
                if let (true, Some(required)) = (bare != name, schema["required"].as_array_mut()) {
                    required.push(bare.into());
                }
            }
        }
    }
    schema
}

fn scalar(word: &str) -> Value {
    match word {
        "any" => json!({"x-kubernetes-preserve-unknown-fields": true}),
        "text" => json!({"type": "string"}),
        "number" => json!({"type": "integer"}),
        "flag" => json!({"type": "boolean"}),
        "duration" => json!({"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"}),
        _ => match word.strip_prefix("url(").and_then(|word| word.strip_suffix(')')) {
            Some(schemes) => json!({"type": "string", "pattern": format!("^({schemes})://.*$")}),
            None => json!({"type": "string", "enum": word.split('|').collect::<Vec<_>>()}),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read() {
        assert_eq!(SCHEMAS.len(), 8);
        let id = ObjectRef::namespaced("helm.toolkit.fluxcd.io/v2beta2", "HelmRelease", "a", "b");
        assert!(
            matches!(known(&id), Known::OtherVersions(others) if others == ["helm.toolkit.fluxcd.io/v2"])
        );
        let id = ObjectRef::namespaced("example.org/v1", "HelmRelease", "a", "b");
        assert!(matches!(known(&id), Known::Nothing));
    }

    #[test]
    fn the_shorthand_is_expanded() {
        let short = json!({"a!": "duration", "b": [{"*": "x|y"}], "c": "url(http|https)", "$rule": "has(self.b)", "$says": "b"});
        let schema = expanded(&short);
        assert_eq!(schema["required"], json!(["a"]));
        assert_eq!(schema["properties"]["b"]["items"]["additionalProperties"]["enum"], json!(["x", "y"]));
        assert_eq!(schema["properties"]["c"]["pattern"], "^(http|https)://.*$");
        assert_eq!(schema["x-kubernetes-validations"][0]["rule"], "has(self.b)");
    }
}
