//! `bootstrapper.yaml`: what cannot be in git in the clear, and what differs between people.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, schema_for};
use serde::Deserialize;

use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::files::{self, Refusal};
use bootstrapper_core::yaml;

/// `bootstrapper.yaml`, at the root of the repository.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The clusters, by name.
    #[serde(default)]
    clusters: BTreeMap<String, ClusterConfig>,
}

#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ClusterConfig {
    /// Its kubeconfig context. Default: the cluster's name.
    context: Option<String>,
    /// Flux's entry point in the repository: the file or folder that declares the root
    /// Kustomization and its source (or a FluxInstance), or the folder that the root Kustomization
    /// builds. Default: detected.
    path: Option<PathBuf>,
    /// Its number of nodes, for rules about replicas; the setting NODE_COUNT has precedence.
    nodes: Option<u64>,
    /// Its version of Kubernetes (`"1.36"`), for the rules about schemas.
    kubernetes: Option<String>,
    /// The secrets that the bootstrap seeds before Flux.
    #[serde(default)]
    secrets: Vec<SecretSpec>,
}

/// A Secret to create.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretSpec {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its type. Default: `Opaque`.
    #[serde(rename = "type")]
    pub type_: Option<String>,
    /// Its keys, and the sources of their values.
    pub data: BTreeMap<String, SecretSource>,
}

/// The source of a secret value.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file, relative to the repository.
    File(PathBuf),
    /// A 1Password reference: `op://vault/item/field`.
    Op(String),
    /// A value of a SOPS-encrypted file.
    Sops {
        /// The file, relative to the repository.
        file: PathBuf,
        /// The key within it: `stringData.token`.
        key: String,
    },
}

impl Config {
    /// Reads that of the repository; empty if it has none.
    pub fn load(root: &Path) -> Result<Self> {
        let file = Path::new("bootstrapper.yaml");
        match files::read_text(root, file) {
            Ok(text) => yaml::from_str(&text, file),
            Err(Refusal::Missing) => Ok(Self::default()),
            Err(refusal) => Err(Failure::input("bootstrapper.yaml is invalid").because(refusal)),
        }
    }

    /// The kubeconfig context of a cluster.
    pub fn context_of<'a>(&'a self, cluster: &'a str) -> &'a str {
        self.clusters.get(cluster).and_then(|config| config.context.as_deref()).unwrap_or(cluster)
    }

    /// The entry points of Flux, of the clusters that set one.
    pub fn entries(&self) -> BTreeMap<String, PathBuf> {
        let entries = self.clusters.iter();
        entries.filter_map(|(name, config)| Some((name.clone(), config.path.clone()?))).collect()
    }

    /// The number of nodes of a cluster, if set.
    pub fn nodes_of(&self, cluster: &str) -> Option<u64> {
        self.clusters.get(cluster)?.nodes
    }

    /// The version of Kubernetes of a cluster, if set.
    pub fn kubernetes_of(&self, cluster: &str) -> Option<&str> {
        self.clusters.get(cluster)?.kubernetes.as_deref()
    }

    /// The secrets of a cluster.
    pub fn secrets_of(&self, cluster: &str) -> &[SecretSpec] {
        self.clusters.get(cluster).map_or(&[], |config| &config.secrets)
    }

    /// The environment variables that secrets of any cluster are read from.
    pub fn secret_variables(&self) -> BTreeSet<String> {
        self.clusters.values().flat_map(|config| &config.secrets).flat_map(variables).cloned().collect()
    }
}

/// The environment variables that values of secrets are read from.
fn variables(spec: &SecretSpec) -> impl Iterator<Item = &String> {
    spec.data.values().filter_map(|source| match source {
        SecretSource::Env(name) => Some(name),
        _ => None,
    })
}

pub(super) fn schema() -> Schema {
    schema_for!(Config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_without_an_entry_has_a_context_of_its_own_name() {
        let config = Config::default();
        assert_eq!(config.context_of("infra"), "infra");
        assert!(config.secrets_of("infra").is_empty());
    }

    #[test]
    fn a_version_needs_no_quotes() {
        let text = "clusters: {a: {kubernetes: 1.30}, b: {kubernetes: \"1.36\"}, c: {kubernetes: v1.36.3}}";
        let config: Config = yaml::from_str(text, Path::new("bootstrapper.yaml")).unwrap();
        let versions = ["a", "b", "c", "d"].map(|cluster| config.kubernetes_of(cluster));
        assert_eq!(versions, [Some("1.30"), Some("1.36"), Some("v1.36.3"), None]);
    }

    #[test]
    fn every_kind_of_source_is_read() {
        let text = "clusters: {infra: {context: home, secrets: [{name: s, namespace: n, data: {\
                    a: {env: A}, b: {file: b.txt}, c: {op: 'op://v/i/f'}, d: {sops: {file: s.yaml, key: data.d}}}}]}}";
        let config: Config = yaml::from_str(text, Path::new("bootstrapper.yaml")).unwrap();
        assert_eq!(config.context_of("infra"), "home");
        assert_eq!(config.secrets_of("infra")[0].data.len(), 4);
    }

    #[test]
    fn anything_may_stand_in_a_configuration() {
        let own = include_str!("../../../../bootstrapper.yaml");
        bootstrapper_core::fuzzing::texts(&[own], |text| {
            drop(yaml::from_str::<Config>(text, Path::new("bootstrapper.yaml")));
        });
    }
}
