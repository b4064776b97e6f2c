//! The volumes of a pod, as files where its containers look for them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::object::{Object, ObjectRef};
use crate::sandbox::nodes::{Site, data, token};

/// Where the API server's clients look for what they are.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Files, and folders that have to be there.
#[derive(Default)]
pub(super) struct Volumes {
    pub(super) files: Vec<(PathBuf, Vec<u8>)>,
    pub(super) folders: Vec<String>,
}

/// Reads what the pod's volumes are made of. RBAC is real: the token is that of the pod's account.
pub(super) async fn read(site: &Site, pod: &Object) -> Result<Volumes> {
    let namespace = ObjectRef::of(pod).namespace.unwrap_or_default();
    let account = pod.data["spec"]["serviceAccountName"].as_str().unwrap_or("default");
    let mut volumes = Volumes::default();
    let identity = [
        ("token", token(site, &namespace, account).await?),
        ("ca.crt", site.certificates.authority_pem().to_owned()),
        ("namespace", namespace.clone()),
    ];
    volumes.files.extend(identity.map(|(name, text)| (Path::new(ACCOUNT).join(name), text.into_bytes())));

    let spec = &pod.data["spec"];
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
        let volume = spec["volumes"].as_array().into_iter().flatten().find(|volume| volume["name"] == name);
        for source in volume.map(sources).unwrap_or_default() {
            for (key, content) in source.read(site, &namespace).await? {
                volumes.files.push((Path::new(path).join(key), content));
            }
        }
    }
    Ok(volumes)
}

/// A ConfigMap or Secret within a volume.
#[derive(Debug, PartialEq)]
struct Source<'a> {
    kind: &'static str,
    name: &'a str,
    /// Which keys, and the paths they get; all if there are none.
    items: Vec<(&'a str, &'a str)>,
    is_optional: bool,
}

fn sources(volume: &Value) -> Vec<Source<'_>> {
    let projected = volume["projected"]["sources"].as_array().into_iter().flatten();
    std::iter::once(volume).chain(projected).filter_map(of_one).collect()
}

fn of_one(volume: &Value) -> Option<Source<'_>> {
    let (kind, source) = match (&volume["configMap"], &volume["secret"]) {
        (map, _) if map.is_object() => ("ConfigMap", map),
        (_, secret) if secret.is_object() => ("Secret", secret),
        _ => return None,
    };
    let items = source["items"].as_array().into_iter().flatten();
    Some(Source {
        kind,
        name: source["name"].as_str().or_else(|| source["secretName"].as_str())?,
        items: items.filter_map(|item| Some((item["key"].as_str()?, item["path"].as_str()?))).collect(),
        is_optional: source["optional"] == true,
    })
}

impl Source<'_> {
    async fn read(&self, site: &Site, namespace: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let data = match data(site, self.kind, namespace, self.name).await? {
            Some(data) => data,
            None if self.is_optional => return Ok(Vec::new()),
            None => {
                return Err(Failure::step(format!(
                    "{} {namespace}/{} is not there yet",
                    self.kind, self.name
                )));
            }
        };
        if self.items.is_empty() {
            return Ok(data.into_iter().collect());
        }
        let pick = |(key, path): &(&str, &str)| Some(((*path).to_owned(), data.get(*key)?.clone()));
        Ok(self.items.iter().filter_map(pick).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sources_of_every_kind_of_volume() {
        let whole = |kind, name, is_optional| Source { kind, name, items: Vec::new(), is_optional };
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
                    name: "c",
                    items: vec![("tls.crt", "server.crt")],
                    is_optional: false,
                }],
            ),
        ];
        for (volume, expected) in cases {
            assert_eq!(sources(&volume), expected, "{volume}");
        }
    }
}
