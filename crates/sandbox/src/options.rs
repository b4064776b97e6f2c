//! The options of a sandbox, from the cluster that it simulates.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::router_spec::{RouterSpec, invalid, parsed};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_gitops::{Distribution, Repository, addresses};

/// The options of a sandbox.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SandboxOptions {
    /// Its name: that of the cluster that it simulates.
    pub name: String,
    /// How many nodes it has.
    pub node_count: u16,
    /// A folder of prebuilt binaries, which is searched first.
    pub binaries: Option<PathBuf>,
    /// Whether missing programs are built, not downloaded.
    #[serde(default)]
    pub from_source: bool,
    /// The repository, and where the cluster expects it.
    pub source: SourceSpec,
    /// The pod range.
    pub pod_cidr: String,
    /// The Service range.
    pub service_cidr: String,
    /// The node range.
    pub node_cidr: String,
    /// Its subnets, over which the nodes are spread; empty if it is a single one.
    #[serde(default)]
    pub node_subnets: Vec<String>,
    /// The declared address of the API server.
    pub api_server: Option<String>,
    /// Its declared port.
    pub api_port: u16,
    /// Its id in the mesh.
    pub cluster_id: usize,
    /// The distribution that its nodes report, if any.
    #[serde(default)]
    pub distribution: Option<Distribution>,
    /// The router of a real network; none if the network is simulated.
    pub router: Option<RouterSpec>,
}

/// The first host number for nodes, after those of routers and control planes.
const FIRST_ADDRESS: usize = 30;

/// The number of addresses for the nodes of each cluster in a network, and of clusters that fit.
const ADDRESSES: usize = 70;
const CLUSTERS: usize = 3;

/// Where a cluster expects the working tree.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum SourceSpec {
    /// In a git repository.
    Git(GitSpec),
    /// In an artifact in a registry.
    Artifact(ArtifactSpec),
}

/// A folder of a working tree, and the URL under which a registry serves it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ArtifactSpec {
    /// The working tree.
    pub repository: PathBuf,
    /// The folder in the artifact.
    pub folder: PathBuf,
    /// The URL declared by the OCIRepository.
    pub url: String,
    /// Its tags: the declared one, or those that may satisfy a declared range.
    pub tags: Vec<String>,
}

impl ArtifactSpec {
    fn of(url: &str, reference: &Value, repository: &Path, folder: PathBuf) -> Self {
        let tags = match (reference["semver"].as_str(), reference["tag"].as_str()) {
            (Some(range), _) => versions_of(range),
            (None, Some(tag)) => vec![tag.to_owned()],
            (None, None) => vec!["latest".to_owned()],
        };
        Self { repository: repository.to_owned(), folder, url: url.to_owned(), tags }
    }

    /// The tag to pull.
    pub(super) fn tag(&self) -> &str {
        self.tags.first().map_or("latest", String::as_str)
    }

    /// The host of the registry, and the repository in it.
    pub(super) fn place(&self) -> Result<(String, String)> {
        let url = url::Url::parse(&self.url).map_err(|error| {
            Failure::input(format!("invalid artifact URL `{}`", self.url)).caused_by(&error)
        })?;
        Ok((url.host_str().unwrap_or_default().to_owned(), url.path().trim_matches('/').to_owned()))
    }
}

/// Versions of which at least one satisfies a range: those in it, and the next ones.
fn versions_of(range: &str) -> Vec<String> {
    let words = range.split(|character: char| !(character.is_ascii_alphanumeric() || character == '.'));
    let versions = words.filter(|word| !word.is_empty()).filter_map(|word| {
        let mut parts = word.trim_start_matches('v').split('.').map(|part| part.parse::<u64>().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        let (major, minor, patch) = (next(), next(), next());
        let later = patch.checked_add(1)?;
        Some([format!("{major}.{minor}.{patch}"), format!("{major}.{minor}.{later}")])
    });
    versions.flatten().chain(["0.0.1".to_owned()]).collect()
}

/// A working tree, and the URL under which it is served.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GitSpec {
    /// The working tree.
    pub repository: PathBuf,
    /// The URL declared by the GitRepository.
    pub url: String,
    /// The branch declared by it.
    pub branch: String,
    /// Whether it declares credentials.
    pub has_credentials: bool,
}

/// The branch of a GitRepository: as such, or as a reference name.
fn branch_of(reference: &Value) -> String {
    let named = reference["name"].as_str().and_then(|name| name.strip_prefix("refs/heads/"));
    named.or_else(|| reference["branch"].as_str()).unwrap_or("main").to_owned()
}

impl GitSpec {
    /// The URL under which the sandbox serves it: the same host and path over https.
    pub(super) fn served(&self) -> Result<String> {
        let url = url::Url::parse(&self.url).map_err(|error| {
            Failure::input(format!("invalid repository URL `{}`", self.url)).caused_by(&error)
        })?;
        Ok(format!("https://{}{}", url.host_str().unwrap_or_default(), url.path()))
    }
}

fn node_subnets(settings: &BTreeMap<String, String>) -> Result<Vec<String>> {
    let Some(text) = settings.get("NODE_SUBNETS") else { return Ok(Vec::new()) };
    let subnets = addresses::read(text).ok_or_else(|| invalid("NODE_SUBNETS", text))?;
    Ok(subnets.iter().map(IpNet::to_string).collect())
}

impl SandboxOptions {
    /// The options for a cluster, from its settings and its GitRepository.
    pub fn shaped_by(
        cluster: &str,
        settings: &BTreeMap<String, String>,
        repository: &Repository,
    ) -> Result<Self> {
        let source = repository.source_of(cluster)?;
        let spec = &source.data["spec"];
        let url = spec["url"].as_str().unwrap_or_default().to_owned();
        let source = if url.starts_with("oci://") {
            let folder = repository.artifact_folder_of(cluster)?;
            SourceSpec::Artifact(ArtifactSpec::of(&url, &spec["ref"], &repository.root, folder))
        } else if ["https://", "http://", "ssh://"].iter().any(|scheme| url.starts_with(scheme)) {
            let has_credentials = spec["secretRef"].is_object();
            SourceSpec::Git(GitSpec {
                repository: repository.root.clone(),
                url,
                branch: branch_of(&spec["ref"]),
                has_credentials,
            })
        } else {
            return Err(Failure::input(format!("the sandbox cannot serve `{url}`"))
                .because("supported: git over https, http and ssh, and OCI artifacts"));
        };
        let setting =
            |name: &str, default: &str| settings.get(name).map_or(default, String::as_str).to_owned();
        Ok(Self {
            name: cluster.to_owned(),
            node_count: 3,
            binaries: None,
            from_source: false,
            source,
            pod_cidr: setting("POD_CIDR", "10.42.0.0/16"),
            service_cidr: setting("SERVICE_CIDR", "10.43.0.0/16"),
            node_cidr: setting("NODE_CIDR", "10.25.11.0/24"),
            node_subnets: node_subnets(settings)?,
            api_server: settings.get("API_SERVER_HOST").cloned(),
            api_port: setting("API_SERVER_PORT", "6443").parse().unwrap_or(6443),
            cluster_id: setting("CLUSTER_ID", "1").parse().unwrap_or(1),
            distribution: None,
            router: None,
        })
    }

    /// The networks of the nodes.
    pub(super) fn node_networks(&self) -> Result<Vec<IpNet>> {
        match self.node_subnets.as_slice() {
            [] => Ok(vec![parsed("NODE_CIDR", &self.node_cidr)?]),
            subnets => subnets.iter().map(|subnet| parsed("NODE_SUBNETS", subnet)).collect(),
        }
    }

    /// The nodes: names and addresses. The first ones are in the first subnet, the last ones in the last.
    pub(super) fn nodes(&self) -> Result<Vec<(String, IpAddr)>> {
        let networks = self.node_networks()?;
        let mut addresses: Vec<_> =
            networks.iter().map(|network| network.hosts().skip(self.first_address())).collect();
        let (count, networks) = (usize::from(self.node_count), addresses.len());
        let nodes = (0..count).map_while(|index| {
            let address = addresses.get_mut(index * networks / count)?.next()?;
            Some((format!("{}-{}", self.name, index + 1), address))
        });
        Ok(nodes.collect())
    }

    fn first_address(&self) -> usize {
        FIRST_ADDRESS + ADDRESSES * (self.cluster_id.saturating_sub(1) % CLUSTERS)
    }

    /// The address of the Service `kubernetes`: the first in the range.
    pub(super) fn api_service_address(&self) -> String {
        let network: Option<ipnet::IpNet> = self.service_cidr.parse().ok();
        let first = network.and_then(|network| network.hosts().next());
        first.map(|address| address.to_string()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_branch_is_named_in_either_way() {
        for (reference, branch) in [
            (json!({"branch": "east"}), "east"),
            (json!({"name": "refs/heads/west"}), "west"),
            (json!({"name": "refs/tags/v1"}), "main"),
            (json!(null), "main"),
        ] {
            assert_eq!(branch_of(&reference), branch, "{reference}");
        }
    }

    #[test]
    fn nodes_are_spread_over_the_subnets() {
        let options = |subnets: &[&str]| SandboxOptions {
            name: "a".to_owned(),
            node_count: 3,
            binaries: None,
            from_source: false,
            source: SourceSpec::Artifact(ArtifactSpec::of("", &json!(null), Path::new(""), PathBuf::new())),
            pod_cidr: String::new(),
            service_cidr: String::new(),
            node_cidr: "10.25.10.0/23".to_owned(),
            node_subnets: subnets.iter().map(|subnet| (*subnet).to_owned()).collect(),
            api_server: None,
            api_port: 6443,
            cluster_id: 1,
            distribution: None,
            router: None,
        };
        let addresses = |subnets: &[&str]| -> Vec<String> {
            let nodes = options(subnets).nodes().unwrap();
            nodes.into_iter().map(|(_, address)| address.to_string()).collect()
        };
        assert_eq!(addresses(&[]), ["10.25.10.31", "10.25.10.32", "10.25.10.33"]);
        let two = ["10.25.11.0/24", "10.25.10.0/24"];
        assert_eq!(addresses(&two), ["10.25.11.31", "10.25.11.32", "10.25.10.31"]);
        let settings = |value: &str| BTreeMap::from([("NODE_SUBNETS".to_owned(), value.to_owned())]);
        assert_eq!(node_subnets(&settings("10.25.11.0/24, 10.25.10.0/24")).unwrap(), two);
        assert!(node_subnets(&settings("none")).is_err());
    }

    #[test]
    fn an_artifact_has_the_requested_tag() {
        for (reference, tag) in [
            (json!({"tag": "v3"}), "v3"),
            (json!({"digest": "sha256:00"}), "latest"),
            (json!({"semver": ">=1.2"}), "1.2.0"),
            (json!({"semver": "v2.x"}), "2.0.0"),
            (json!({"semver": "*"}), "0.0.1"),
        ] {
            let spec = ArtifactSpec::of("oci://x.test/a", &reference, Path::new(""), PathBuf::new());
            assert_eq!(spec.tag(), tag, "{reference}");
        }
        assert!(versions_of(">1.0.0 <2").contains(&"1.0.1".to_owned()));
    }

    #[test]
    fn a_repository_is_served_over_https_whatever_its_address() {
        for (url, served) in [
            ("https://git.example.org/a/b.git", "https://git.example.org/a/b.git"),
            ("https://user@git.example.org:8443/a", "https://git.example.org/a"),
            ("ssh://git@git.example.org/a/b", "https://git.example.org/a/b"),
            ("ssh://git@git.example.org:2222/a", "https://git.example.org/a"),
            ("http://git.example.org/a", "https://git.example.org/a"),
        ] {
            let spec = GitSpec {
                repository: PathBuf::new(),
                url: url.to_owned(),
                branch: "main".to_owned(),
                has_credentials: false,
            };
            assert_eq!(spec.served().unwrap(), served);
        }
    }
}
