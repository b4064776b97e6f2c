//! The volumes of a pod, as files in its containers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::kubelet::{data, token};
use crate::site::Site;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::{Object, ObjectRef};

/// The path of service-account credentials.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The ConfigMaps and Secrets that a pod mounts, as files in its mount folders.
pub(super) struct Volumes {
    pub(super) folders: Vec<String>,
    mounted: Vec<(PathBuf, Source)>,
    namespace: String,
}

impl Volumes {
    /// The volumes that a pod declares.
    pub(super) fn of(pod: &Object) -> Self {
        let spec = &pod.data["spec"];
        let mut volumes = Self {
            folders: Vec::new(),
            mounted: Vec::new(),
            namespace: ObjectRef::of(pod).namespace.unwrap_or_default(),
        };
        let containers =
            ["initContainers", "containers"].into_iter().filter_map(|key| spec[key].as_array()).flatten();
        let mounts: Vec<&Value> =
            containers.filter_map(|container| container["volumeMounts"].as_array()).flatten().collect();
        for mount in mounts {
            let (Some(name), Some(path)) = (mount["name"].as_str(), mount["mountPath"].as_str()) else {
                continue;
            };
            if path == ACCOUNT || volumes.folders.iter().any(|folder| folder == path) {
                continue;
            }
            volumes.folders.push(path.to_owned());
            let all = spec["volumes"].as_array().into_iter().flatten();
            let sources = all.filter(|volume| volume["name"] == name).flat_map(sources);
            volumes.mounted.extend(sources.map(|source| (PathBuf::from(path), source)));
        }
        volumes
    }

    /// The current files.
    pub(super) async fn read(&self, site: &Site) -> Result<Files> {
        let mut files = Files::new();
        for (folder, source) in &self.mounted {
            let content = source.read(site, &self.namespace).await?;
            files.extend(content.into_iter().map(|(key, text)| (folder.join(key), text)));
        }
        Ok(files)
    }

    /// The sources of the files.
    pub(super) fn objects(&self) -> Vec<ObjectRef> {
        let id = |source: &Source| ObjectRef::namespaced("v1", source.kind, &self.namespace, &source.name);
        let distinct: BTreeSet<ObjectRef> = self.mounted.iter().map(|(_, source)| id(source)).collect();
        distinct.into_iter().collect()
    }
}

/// Contents by path.
pub(super) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// The pod's service-account credentials. RBAC is real: the token belongs to the pod's account.
pub(super) async fn identity(site: &Site, pod: &Object) -> Result<Files> {
    let namespace = ObjectRef::of(pod).namespace.unwrap_or_default();
    let account = pod.data["spec"]["serviceAccountName"].as_str().unwrap_or("default");
    let identity = [
        ("token", token(site, &namespace, account).await?),
        ("ca.crt", site.certificates.authority_pem().to_owned()),
        ("namespace", namespace.clone()),
    ];
    Ok(identity.map(|(name, text)| (Path::new(ACCOUNT).join(name), text.into_bytes())).into())
}

/// A ConfigMap or Secret in a volume.
#[derive(Debug, PartialEq)]
struct Source {
    kind: &'static str,
    name: String,
    /// The keys and their paths; empty for all.
    items: Vec<(String, String)>,
    is_optional: bool,
}

fn sources(volume: &Value) -> Vec<Source> {
    let projected = volume["projected"]["sources"].as_array().into_iter().flatten();
    std::iter::once(volume).chain(projected).filter_map(of_one).collect()
}

fn of_one(volume: &Value) -> Option<Source> {
    let (kind, source) = match (&volume["configMap"], &volume["secret"]) {
        (map, _) if map.is_object() => ("ConfigMap", map),
        (_, secret) if secret.is_object() => ("Secret", secret),
        _ => return None,
    };
    let items = source["items"].as_array().into_iter().flatten();
    Some(Source {
        kind,
        name: source["name"].as_str().or_else(|| source["secretName"].as_str())?.to_owned(),
        items: items
            .filter_map(|item| Some((item["key"].as_str()?.to_owned(), item["path"].as_str()?.to_owned())))
            .collect(),
        is_optional: source["optional"] == true,
    })
}

impl Source {
    async fn read(&self, site: &Site, namespace: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let data = match data(site, self.kind, namespace, &self.name).await? {
            Some(data) => data,
            None if self.is_optional => return Ok(Vec::new()),
            None => {
                return Err(Failure::step(format!("{} {namespace}/{} not found yet", self.kind, self.name)));
            }
        };
        if self.items.is_empty() {
            return Ok(data.into_iter().collect());
        }
        let pick = |(key, path): &(String, String)| Some((path.clone(), data.get(key)?.clone()));
        Ok(self.items.iter().filter_map(pick).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sources_of_every_kind_of_volume() {
        let whole = |kind, name: &str, is_optional| Source {
            kind,
            name: name.to_owned(),
            items: Vec::new(),
            is_optional,
        };
        let cases = [
            (json!({"emptyDir": {}}), vec![]),
            (json!({"hostPath": {"path": "/run"}}), vec![]),
            (json!({"configMap": {"name": "a"}}), vec![whole("ConfigMap", "a", false)]),
            (json!({"secret": {"secretName": "b", "optional": true}}), vec![whole("Secret", "b", true)]),
            (
                json!({"projected": {"sources": [
                    {"secret": {"name": "c", "items": [{"key": "tls.crt", "path": "server.crt"}]}},
                    {"serviceAccountToken": {"path": "token"}},
                ]}}),
                vec![Source {
                    kind: "Secret",
                    name: "c".to_owned(),
                    items: vec![("tls.crt".to_owned(), "server.crt".to_owned())],
                    is_optional: false,
                }],
            ),
        ];
        for (volume, expected) in cases {
            assert_eq!(sources(&volume), expected, "{volume}");
        }
    }
}
