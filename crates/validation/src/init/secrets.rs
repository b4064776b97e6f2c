//! Secrets that an object references, and that have no provider.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::fleet::{Placed, objects_of};
use crate::known;
use crate::rules::named_secrets;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_gitops::Declared;

/// A Secret that an object references, and that has no provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededSecret {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The objects that reference it, and for what.
    pub needed_by: BTreeSet<String>,
    /// The keys that it must have, if known.
    pub keys: BTreeSet<String>,
}

/// Every Secret that a cluster references, and that nothing in the repository provides.
pub fn needed_secrets(declared: &Declared) -> Vec<NeededSecret> {
    let mut needs = Needs { declared, found: BTreeMap::new() };
    let (source, sync) = (&declared.source, &declared.sync);
    for (id, object) in [source, sync].map(|object| (ObjectRef::of(object), object)) {
        let namespace = id.namespace.clone().unwrap_or_default();
        if let Some(name) = object.data["spec"]["decryption"]["secretRef"]["name"].as_str() {
            needs.add(&namespace, name, format!("{id} (decryption)"), &["age.agekey"]);
        }
        if let Some(name) = object.data["spec"]["secretRef"]["name"].as_str() {
            needs.add(&namespace, name, format!("{id} (credentials)"), credentials(object));
        }
    }
    for placed in objects_of(declared) {
        needs.add_of(placed);
    }
    for one in &declared.kustomizations {
        for drawn in
            one.substitute_sources.iter().filter(|drawn| drawn.id.kind == "Secret" && !drawn.optional)
        {
            let keys: Vec<&str> = one.unknown_variables.iter().map(String::as_str).collect();
            let namespace = drawn.id.namespace.as_deref().unwrap_or_default();
            needs.add(namespace, &drawn.id.name, format!("{} (substituteFrom)", one.id), &keys);
        }
    }
    for release in &declared.releases {
        for from in release.values_from.iter().filter(|from| from.id.kind == "Secret" && !from.optional) {
            let namespace = from.id.namespace.as_deref().unwrap_or_default();
            needs.add(namespace, &from.id.name, format!("{} (valuesFrom)", release.id), &[&from.key]);
        }
    }
    needs.found.into_values().collect()
}

struct Needs<'a> {
    declared: &'a Declared,
    found: BTreeMap<(String, String), NeededSecret>,
}

impl Needs<'_> {
    fn add_of(&mut self, placed: Placed<'_>) {
        let id = placed.id();
        for (path, namespace, name) in named_secrets(placed) {
            let keys: &[&str] = if path.contains("decryption") { &["age.agekey"] } else { &[] };
            self.add(&namespace, &name, format!("{id} ({path})"), keys);
        }
        // Stores and issuers authenticate with a Secret before anything can create one for them.
        if matches!(id.kind.as_str(), "SecretStore" | "ClusterSecretStore" | "Issuer" | "ClusterIssuer") {
            let own = match (&id.namespace, id.group()) {
                (Some(namespace), _) => namespace.clone(),
                (None, "cert-manager.io") => self.namespace_of("cert-manager"),
                (None, _) => self.namespace_of("external-secrets"),
            };
            let mut references = Vec::new();
            references_in(&placed.object.data["spec"], &mut references);
            for (namespace, name, key) in references {
                let keys = key.as_deref();
                self.add(&namespace.unwrap_or_else(|| own.clone()), &name, id.to_string(), keys.as_slice());
            }
        }
    }

    /// The namespace that a chart is installed into.
    fn namespace_of(&self, chart: &str) -> String {
        let mut releases = self.declared.releases.iter();
        let release = releases.find(|release| release.chart.name() == chart);
        release.map_or_else(|| chart.to_owned(), |release| release.release_namespace.clone())
    }

    fn add(&mut self, namespace: &str, name: &str, needed_by: String, keys: &[&str]) {
        if name.is_empty() || known::has_secret(self.declared, namespace, name) {
            return;
        }
        let key = (namespace.to_owned(), name.to_owned());
        let entry = self.found.entry(key).or_insert_with(|| NeededSecret {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            needed_by: BTreeSet::new(),
            keys: BTreeSet::new(),
        });
        entry.needed_by.insert(needed_by);
        entry.keys.extend(keys.iter().map(|key| (*key).to_owned()));
    }
}

/// `…SecretRef: {name, key}` and `secretRef` anywhere in a spec.
fn references_in(value: &Value, found: &mut Vec<(Option<String>, String, Option<String>)>) {
    let Some(fields) = value.as_object() else {
        value.as_array().into_iter().flatten().for_each(|item| references_in(item, found));
        return;
    };
    for (field, value) in fields {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        match text("name") {
            // cert-manager creates an account's key itself.
            Some(_) if field == "privateKeySecretRef" => {}
            Some(name) if field.to_lowercase().ends_with("secretref") => {
                found.push((text("namespace"), name, text("key")));
            }
            _ => references_in(value, found),
        }
    }
}

/// The keys of the Secret with a source's credentials.
fn credentials(source: &Object) -> &'static [&'static str] {
    let url = source.data["spec"]["url"].as_str().unwrap_or_default();
    match ObjectRef::of(source).kind.as_str() {
        "GitRepository" if url.starts_with("ssh://") => &["identity", "known_hosts"],
        "GitRepository" => &["password", "username"],
        "OCIRepository" => &[".dockerconfigjson"],
        _ => &["accesskey", "secretkey"],
    }
}
