//! ConfigMaps and Secrets as sources of substitutions and values, as far as the repository has them.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::ciphertext::is_ciphertext;
use super::made;
use bootstrapper_core::failure::Failure;
use bootstrapper_core::masking;
use bootstrapper_core::object::{Object, ObjectRef};

/// The data of Secrets that the bootstrap seeds, by namespace and name.
pub type SecretValues = BTreeMap<(String, String), BTreeMap<String, SecretValue>>;

/// A value of a Secret that the bootstrap seeds.
#[derive(Debug, Clone)]
pub enum SecretValue {
    /// It was read.
    Known(SecretString),
    /// It could not be read, and why. Objects that use it cannot be applied.
    Unknown(Failure),
}

impl SecretValue {
    /// Its value, if known.
    pub fn known(&self) -> Option<&SecretString> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }
}

impl<T: Into<SecretString>> From<T> for SecretValue {
    fn from(value: T) -> Self {
        Self::Known(value.into())
    }
}

/// The placeholder of a value that exists only in the cluster: of a Secret that is encrypted in the repository,
/// or created in the cluster. It is a valid name, so objects with it can still be inspected.
pub const UNKNOWN: &str = "known-in-the-cluster-only";

/// A ConfigMap or Secret.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// Its known data; [`UNKNOWN`] where only the key is known.
    pub(super) data: BTreeMap<String, String>,
    /// Whether it may have further keys.
    pub(super) is_open: bool,
    /// The keys whose values come from a secret; all keys of a Secret.
    secret: Option<BTreeSet<String>>,
    /// Why values that the bootstrap should read are unknown.
    pub(super) why: BTreeMap<String, Failure>,
    /// Its provider: the object itself, or the one that creates it in the cluster. None if the bootstrap seeds
    /// it.
    pub(super) provider: Option<ObjectRef>,
}

impl Source {
    /// Whether the value of a key comes from a secret.
    pub(super) fn is_secret(&self, key: &str) -> bool {
        self.secret.as_ref().is_none_or(|secret| secret.contains(key))
    }

    /// Whether the cluster creates it: from an ExternalSecret or a SealedSecret.
    pub(super) fn is_created_in_cluster(&self) -> bool {
        self.provider.as_ref().is_some_and(|by| !matches!(by.kind.as_str(), "ConfigMap" | "Secret"))
    }
}

/// All sources, by kind, namespace and name.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources(BTreeMap<(String, String, String), Source>);

impl Sources {
    /// The sources that the bootstrap seeds.
    pub(super) fn seeded(secrets: &SecretValues) -> Self {
        let seeded = secrets.iter().map(|((namespace, name), values)| {
            for value in values.values().filter_map(SecretValue::known) {
                masking::mark(value.expose_secret());
            }
            let text = |value: &SecretValue| {
                value.known().map_or(UNKNOWN.to_owned(), |it| it.expose_secret().to_owned())
            };
            let data = values.iter().map(|(key, value)| (key.clone(), text(value)));
            let why = values.iter().filter_map(|(key, value)| match value {
                SecretValue::Unknown(failure) => Some((key.clone(), failure.clone())),
                SecretValue::Known(_) => None,
            });
            let source = Source {
                data: data.collect(),
                is_open: false,
                secret: None,
                why: why.collect(),
                provider: None,
            };
            (("Secret".to_owned(), namespace.clone(), name.clone()), source)
        });
        Self(seeded.collect())
    }

    /// The ConfigMap or Secret with this name.
    pub(super) fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<&Source> {
        self.0.get(&(kind.to_owned(), namespace.to_owned(), name.to_owned()))
    }

    /// The first with this name, in any namespace.
    pub(super) fn named(&self, kind: &str, name: &str) -> Option<&Source> {
        let is_it = |key: &(String, String, String)| key.0 == kind && key.2 == name;
        self.0.iter().find(|(key, _)| is_it(key)).map(|(_, source)| source)
    }

    /// Adds the one that `object` provides, if any. Seeded ones take precedence.
    #[cfg(test)]
    pub(super) fn add(&mut self, object: &Object) {
        self.add_with(object, BTreeSet::new());
    }

    /// The same; the values of the keys in `secret` come from a secret.
    pub(super) fn add_with(&mut self, object: &Object, secret: BTreeSet<String>) {
        for made in made::by(object) {
            let id = ObjectRef::of(object);
            let namespace = made.namespace.clone().or(id.namespace).unwrap_or_default();
            // Declared objects take precedence.
            if self.get(made.kind, &namespace, &made.name).is_none() {
                self.add_one(object, made, BTreeSet::new());
            }
        }
        if let Some(own) = provided(object) {
            self.add_one(object, own, secret);
        }
    }

    fn add_one(&mut self, object: &Object, provided: Provided, secret: BTreeSet<String>) {
        let Provided { kind, namespace, name, data, is_open } = provided;
        let id = ObjectRef::of(object);
        if kind == "Secret" && id.kind == "Secret" {
            mark(object, &data);
        }
        let namespace = namespace.or(id.namespace.clone()).unwrap_or_default();
        let key = (kind.to_owned(), namespace, name);
        let is_seeded = |source: &Source| source.provider.is_none();
        if !self.0.get(&key).is_some_and(is_seeded) {
            let secret = (kind == "ConfigMap").then_some(secret);
            self.0.insert(key, Source { data, is_open, secret, why: BTreeMap::new(), provider: Some(id) });
        }
    }

    /// Copies the data of another ConfigMap or Secret to `object`. That data may be unknown.
    pub(super) fn copy(&mut self, object: &Object, namespace: &str, name: &str) {
        let id = ObjectRef::of(object);
        let other = self.get(&id.kind, namespace, name).cloned();
        let source = other.map_or_else(
            || Source {
                data: BTreeMap::new(),
                is_open: true,
                secret: None,
                why: BTreeMap::new(),
                provider: Some(id.clone()),
            },
            |other| Source { provider: Some(id.clone()), ..other },
        );
        self.0.insert((id.kind.clone(), id.namespace.clone().unwrap_or_default(), id.name.clone()), source);
    }

    /// The keys of all sources that can have no others.
    pub(super) fn keys(&self) -> BTreeMap<ObjectRef, BTreeSet<String>> {
        let closed = self.0.iter().filter(|(_, source)| !source.is_open);
        let keys = closed.map(|((kind, namespace, name), source)| {
            let id = ObjectRef::namespaced("v1", kind, namespace, name);
            (id, source.data.keys().cloned().collect())
        });
        keys.collect()
    }

    /// All sources, with their providers.
    pub(super) fn providers(&self) -> BTreeMap<ObjectRef, Option<ObjectRef>> {
        let named = |(kind, namespace, name): &(String, String, String)| {
            ObjectRef::namespaced("v1", kind, namespace, name)
        };
        self.0.iter().map(|(key, source)| (named(key), source.provider.clone())).collect()
    }
}

/// Masks the values of a Secret, wherever they are substituted.
fn mark(object: &Object, data: &BTreeMap<String, String>) {
    masking::mark_secret(object.data["type"].as_str().unwrap_or_default(), &object.data);
    let is_known = |value: &&String| *value != UNKNOWN && !masking::is_encrypted(value.as_bytes());
    data.values().filter(is_known).for_each(|value| masking::mark(value));
}

/// What an object provides.
pub(super) struct Provided {
    pub(super) kind: &'static str,
    /// None: the namespace of the object.
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) data: BTreeMap<String, String>,
    /// Whether there may be more keys.
    pub(super) is_open: bool,
}

/// The ConfigMap or Secret that an object is, or creates.
fn provided(object: &Object) -> Option<Provided> {
    let id = ObjectRef::of(object);
    let data = &object.data;
    let unknown = |keys: Vec<String>| keys.into_iter().map(|key| (key, UNKNOWN.to_owned())).collect();
    let (kind, name, data, is_open) = match (id.group(), id.kind.as_str()) {
        ("", "ConfigMap") => {
            ("ConfigMap", id.name, texts(&data["data"], |text| Some(text.to_owned())), false)
        }
        ("", "Secret") => {
            let mut all = texts(&data["data"], decoded);
            all.extend(texts(&data["stringData"], |text| Some(text.to_owned())));
            ("Secret", id.name, all, false)
        }
        ("external-secrets.io", "ExternalSecret") => {
            let target = &data["spec"]["target"];
            let name = target["name"].as_str().map_or(id.name, str::to_owned);
            let template = keys_of(&target["template"]["data"]);
            let entries = data["spec"]["data"].as_array().into_iter().flatten();
            let fetched = entries.filter_map(|entry| Some(entry["secretKey"].as_str()?.to_owned()));
            let replaces = !template.is_empty() && target["template"]["mergePolicy"] != "Merge";
            let is_open = (!data["spec"]["dataFrom"].is_null() && !replaces)
                || !target["template"]["templateFrom"].is_null()
                || target["creationPolicy"] == "Merge";
            let keys = if replaces { template } else { fetched.chain(template).collect() };
            ("Secret", name, unknown(keys), is_open)
        }
        ("bitnami.com", "SealedSecret") => {
            let name = data["spec"]["template"]["metadata"]["name"].as_str().map_or(id.name, str::to_owned);
            let keys = [&data["spec"]["encryptedData"], &data["spec"]["template"]["data"]];
            ("Secret", name, unknown(keys.into_iter().flat_map(keys_of).collect()), false)
        }
        _ => return None,
    };
    Some(Provided { kind, namespace: None, name, data, is_open })
}

fn keys_of(map: &Value) -> Vec<String> {
    map.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect()
}

fn texts(map: &Value, read: impl Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
    let entries = map.as_object().into_iter().flatten();
    entries
        .filter_map(|(key, value)| {
            let text = value.as_str()?;
            if text.starts_with("ENC[") {
                return Some((key.clone(), UNKNOWN.to_owned()));
            }
            let read = read(text)?;
            Some((key.clone(), if is_ciphertext(&read) { UNKNOWN.to_owned() } else { read }))
        })
        .collect()
}

fn decoded(text: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(text.split_whitespace().collect::<String>()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(object: Value, kind: &str, name: &str) -> Option<(String, bool)> {
        let mut object = object;
        object["metadata"]["namespace"] = "n".into();
        let mut sources = Sources::default();
        sources.add(&serde_json::from_value(object).unwrap());
        sources.get(kind, "n", name).map(|source| (format!("{:?}", source.data), source.is_open))
    }

    #[test]
    fn what_objects_bring() {
        let external = |spec: Value| json!({"apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": {"name": "e"}, "spec": spec});
        let unknown = |key: &str| format!("{{\"{key}\": \"{UNKNOWN}\"}}");
        let table = [
            (
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}),
                ("ConfigMap", "c"),
                r#"{"a": "1"}"#.to_owned(),
                false,
            ),
            (
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "MQ=="}, "stringData": {"b": "2"}}),
                ("Secret", "s"),
                r#"{"a": "1", "b": "2"}"#.to_owned(),
                false,
            ),
            (
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "ENC[AES256_GCM,data:x]"}, "sops": {"mac": "x"}}),
                ("Secret", "s"),
                unknown("k"),
                false,
            ),
            (
                external(json!({"target": {"name": "t"}, "data": [{"secretKey": "k"}]})),
                ("Secret", "t"),
                unknown("k"),
                false,
            ),
            (external(json!({"dataFrom": [{}]})), ("Secret", "e"), "{}".to_owned(), true),
            (
                external(json!({"dataFrom": [{}], "target": {"template": {"data": {"k": "{{ .x }}"}}}})),
                ("Secret", "e"),
                unknown("k"),
                false,
            ),
            (
                json!({"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "metadata": {"name": "b"}, "spec": {"encryptedData": {"k": "Ag"}}}),
                ("Secret", "b"),
                unknown("k"),
                false,
            ),
        ];
        for (object, (kind, name), data, is_open) in table {
            assert_eq!(of(object.clone(), kind, name), Some((data, is_open)), "{object}");
        }
    }

    #[test]
    fn what_the_bootstrap_seeds_is_better_known() {
        let seeded = SecretValues::from([(
            ("n".into(), "s".into()),
            [("k".to_owned(), SecretValue::from("v"))].into(),
        )]);
        let mut sources = Sources::seeded(&seeded);
        let encrypted = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}, "stringData": {"k": "ENC[x]"}});
        sources.add(&serde_json::from_value(encrypted).unwrap());
        assert_eq!(sources.get("Secret", "n", "s").unwrap().data["k"], "v");
    }
}
