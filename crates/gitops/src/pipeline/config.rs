//! `bootstrapper.yaml`: what git cannot contain in plain text, and what differs between users.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, schema_for};
use serde::Deserialize;

use super::secrets::SecretSpec;
use crate::Distribution;
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
    /// The distribution of its nodes, for the rules and the preflight check about it. Default: detected from
    /// the nodes.
    distribution: Option<Distribution>,
    /// The Flux version to install if nothing in the repository installs it.
    #[serde(default)]
    flux: FluxVersions,
    /// The secrets that the bootstrap seeds before Flux.
    #[serde(default)]
    secrets: Vec<SecretSpec>,
}

/// The Flux version to install if nothing in the repository installs it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FluxVersions {
    /// The version of Flux: `2.7.5`.
    pub version: Option<String>,
    /// The version of the Flux operator, if a FluxInstance is declared but no operator: `0.58.1`.
    pub operator: Option<String>,
    /// The SHA-256 of the release manifest, in hexadecimal: any other file is rejected.
    pub sha256: Option<String>,
}

impl Config {
    /// The Flux version to install on a cluster, if nothing in the repository installs it.
    pub fn flux_of(&self, cluster: &str) -> FluxVersions {
        self.clusters.get(cluster).map(|config| config.flux.clone()).unwrap_or_default()
    }

    /// Loads that of the repository; empty if it does not exist.
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

    /// The entry points of Flux for the clusters that set one.
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

    /// The distribution of a cluster, if set.
    pub fn distribution_of(&self, cluster: &str) -> Option<Distribution> {
        self.clusters.get(cluster)?.distribution
    }

    /// The secrets of a cluster.
    pub fn secrets_of(&self, cluster: &str) -> &[SecretSpec] {
        self.clusters.get(cluster).map_or(&[], |config| &config.secrets)
    }

    /// The environment variables that the secrets of any cluster need, as values or credentials.
    pub fn secret_variables(&self) -> BTreeSet<String> {
        let all = self.clusters.values().flat_map(|config| &config.secrets);
        all.flat_map(SecretSpec::variables).map(str::to_owned).collect()
    }
}

pub(super) fn schema() -> Schema {
    schema_for!(Config)
}

#[cfg(test)]
mod tests {
    use super::super::secrets::SecretSource;
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

    fn read(secrets: &str) -> Result<Config> {
        let text = format!("clusters:\n  infra:\n    secrets:\n    - {secrets}\n");
        yaml::from_str(&text, Path::new("bootstrapper.yaml"))
    }

    fn source(written: &str) -> Result<SecretSource> {
        let config = read(&format!("{{name: s, namespace: n, data: {{k: {written}}}}}"))?;
        let SecretSpec::Values(spec) = &config.secrets_of("infra")[0] else { panic!("no values") };
        Ok(spec.data["k"].clone())
    }

    #[test]
    fn every_kind_of_source_is_read_with_the_variables_that_it_needs() {
        for (written, variables) in [
            ("{env: A}", &["A"][..]),
            ("{file: b.txt}", &[]),
            ("{op: 'op://v/i/f'}", &[]),
            ("{op: {reference: 'op://v/i/f', account: my.1password.com}}", &[]),
            ("{op: {reference: 'op://v/i/f', token: {env: T}}}", &["T"]),
            ("{connect: 'op://v/i/f'}", &["OP_CONNECT_HOST", "OP_CONNECT_TOKEN"]),
            ("{connect: {reference: 'op://v/i/f', host: 'https://c.test', token: {env: T}}}", &["T"]),
            ("{connect: {reference: 'op://v/i/f', host: {env: H}}}", &["H", "OP_CONNECT_TOKEN"]),
            ("{sops: {file: s.yaml, key: data.d}}", &[]),
            ("{sops: {file: s.yaml, key: 'stringData[\"age.agekey\"]'}}", &[]),
            ("{bitwarden: {item: i}}", &[]),
            ("{bitwarden: {item: i, field: notes, session: {env: S}}}", &["S"]),
            ("{bitwarden: {secret: 1-2, token: {env: T}}}", &["T"]),
            ("{vault: {path: p, field: f}}", &[]),
            ("{vault: {path: p, field: f, mount: m, address: 'https://v.test', token: {env: T}}}", &["T"]),
            ("{program: [pass, show, x]}", &[]),
            ("{age: machine}", &[]),
            ("{age: [{age: machine}, {env: A}, {op: 'op://v/i/f'}]}", &["A"]),
            ("{base64: {env: A}}", &["A"]),
        ] {
            let source = source(written).unwrap_or_else(|failure| panic!("{written}: {failure:?}"));
            assert_eq!(source.variables(), variables, "{written}");
        }
    }

    /// Editors use it for completion and validation.
    #[test]
    fn the_schema_tells_the_kinds_of_entries_apart() {
        let schema = serde_json::to_value(schema()).unwrap();
        let kinds = schema["$defs"]["SecretSpec"]["anyOf"].as_array().unwrap();
        let required: Vec<&serde_json::Value> = kinds.iter().map(|kind| &kind["required"]).collect();
        let expected = [&["name", "namespace", "data"][..], &["file"], &["template"]];
        assert_eq!(serde_json::json!(required), serde_json::json!(expected));
        assert!(kinds.iter().all(|kind| kind["additionalProperties"] == false), "{kinds:?}");
        let sources = schema["$defs"]["SecretSource"]["oneOf"].as_array().unwrap();
        let names: Vec<&String> =
            sources.iter().flat_map(|source| source["properties"].as_object().unwrap().keys()).collect();
        let all = ["env", "file", "op", "connect", "sops", "bitwarden", "vault", "program", "age", "base64"];
        assert_eq!(names, all);
    }

    #[test]
    fn what_is_wrong_with_a_secret_is_said_with_its_line() {
        for (written, said) in [
            (
                "{name: s, namespace: n, data: {k: {op: {reference: r, account: a, token: {env: T}}}}}",
                "one of them",
            ),
            ("{name: s, namespace: n, data: {k: {op: {refrence: r}}}}", "refrence"),
            ("{name: s, namespace: n, data: {k: {sops: {file: f, key: 'a[b]'}}}}", "quotes"),
            ("{name: s, namespace: n, data: {k: {bitwarden: {item: i, secret: s}}}}", "bitwarden takes"),
            ("{name: s, namespace: n, data: {k: {age: mine}}}", "age takes"),
            ("{name: s, namespace: n, data: {k: {keychain: x}}}", "keychain"),
            ("{name: s, namespace: n}", "`name`, `namespace` and `data`"),
            ("{file: a, template: b}", "not both"),
            ("{file: a, name: s}", "leave them out"),
            ("{file: a, account: x}", "belong to a `template`"),
            ("{template: a, account: x, token: {env: T}}", "one of them"),
            ("{template: a, token: T}", "expected mapping"),
        ] {
            let failure = read(written).unwrap_err();
            assert!(format!("{failure:?}").contains(said), "{said:?} in {failure:?}");
            assert_eq!(failure.location.as_ref().map(|at| at.line), Some(4), "{written}: {failure:?}");
        }
    }

    #[test]
    fn anything_may_stand_in_a_configuration() {
        let own = include_str!("../../../../bootstrapper.yaml");
        bootstrapper_core::fuzzing::texts(&[own], |text| {
            drop(yaml::from_str::<Config>(text, Path::new("bootstrapper.yaml")));
        });
    }
}
