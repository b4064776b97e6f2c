//! `new-cluster`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args as ClapArgs;

use bootstrapper_core::failure::{Failure, Result};

#[derive(Debug, ClapArgs)]
pub(crate) struct NewClusterArgs {
    /// Name of the new cluster
    pub(crate) name: String,

    /// The cluster to copy [default: the first]
    #[arg(long, value_name = "CLUSTER")]
    pub(crate) like: Option<String>,

    /// Cluster ID in the mesh [default: the next]
    #[arg(long)]
    id: Option<u16>,

    /// Pod CIDR [default: the next range of the same size]
    #[arg(long, value_name = "CIDR")]
    pod_cidr: Option<String>,

    /// Service CIDR [default: the next range of the same size]
    #[arg(long, value_name = "CIDR")]
    service_cidr: Option<String>,

    /// Load balancer CIDR [default: the next range of the same size]
    #[arg(long, value_name = "CIDR")]
    lb_pool: Option<String>,

    /// Address of the API server
    #[arg(long, value_name = "HOST[:PORT]")]
    api_server: Option<String>,

    /// BGP ASN of the nodes [default: the next]
    #[arg(long, value_name = "ASN")]
    local_asn: Option<u32>,

    /// Set any other value of settings.yaml
    #[arg(long = "set", value_name = "NAME=VALUE")]
    settings: Vec<String>,

    /// Accept the proposed values without asking
    #[arg(long, short)]
    pub(crate) yes: bool,

    /// Print the new files, and write nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// The GitOps repository [default: searched upwards from the current folder]
    #[arg(long, value_name = "DIR", env = "BOOTSTRAPPER_REPO")]
    pub(crate) repo: Option<PathBuf>,
}

impl NewClusterArgs {
    /// The settings given on the command line, by name.
    pub(crate) fn given(&self) -> Result<BTreeMap<String, String>> {
        let mut given = BTreeMap::new();
        for setting in &self.settings {
            let (name, value) = setting.split_once('=').ok_or_else(|| {
                Failure::input(format!("invalid --set `{setting}`: no value")).hint("use --set NAME=VALUE")
            })?;
            given.insert(name.to_owned(), value.to_owned());
        }
        let (host, port) = self.api_server.as_deref().map(host_and_port).unzip();
        let named = [
            ("CLUSTER_ID", self.id.map(|id| id.to_string())),
            ("POD_CIDR", self.pod_cidr.clone()),
            ("SERVICE_CIDR", self.service_cidr.clone()),
            ("LB_POOL_CIDR", self.lb_pool.clone()),
            ("API_SERVER_HOST", host.map(str::to_owned)),
            ("API_SERVER_PORT", port.flatten().map(str::to_owned)),
            ("BGP_LOCAL_ASN", self.local_asn.map(|asn| asn.to_string())),
        ];
        given.extend(named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        Ok(given)
    }
}

/// An IPv6 address has colons of its own: with a port, it stands in brackets.
fn host_and_port(server: &str) -> (&str, Option<&str>) {
    match server.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, Some(port)),
        Some((host, port)) if host.starts_with('[') && host.ends_with(']') => {
            (host.trim_matches(['[', ']']), Some(port))
        }
        _ => (server, None),
    }
}

#[cfg(test)]
mod tests {
    use super::host_and_port;

    #[test]
    fn an_api_server_may_have_a_port() {
        let cases = [
            ("10.0.0.1", ("10.0.0.1", None)),
            ("api.example.org:443", ("api.example.org", Some("443"))),
            ("fd00::1", ("fd00::1", None)),
            ("[fd00::1]:6443", ("fd00::1", Some("6443"))),
        ];
        for (server, expected) in cases {
            assert_eq!(host_and_port(server), expected);
        }
    }
}
