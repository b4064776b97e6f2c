//! FRR as the router, if installed: bgpd, and zebra, which installs its routes into the kernel.

use async_trait::async_trait;
use serde_json::Value;

use super::daemon::{Daemon, Neighbor, Table};
use super::machine::Machine;
use crate::router_spec::RouterSpec;
use bootstrapper_core::failure::{Failure, Result};

/// The folder of its programs in distributions.
pub(super) const FOLDER: &str = "/usr/lib/frr";

const CONFIGURATION: &str = "/etc/frr/bgpd.conf";

/// The maximum number of ECMP paths: one per node.
const PATHS: u8 = 16;

pub(super) struct Frr;

#[async_trait]
impl Daemon for Frr {
    async fn prepare(
        &self,
        machine: &Machine,
        spec: &RouterSpec,
        neighbors: &[Neighbor],
    ) -> Result<Vec<Vec<String>>> {
        let lines = [vec![begin(spec)], head(spec)].concat();
        let lines = lines.into_iter().chain(neighbors.iter().flat_map(known));
        let text: String = lines.map(|line| line + "\n").collect();
        machine.namespace.run("mkdir", &["-p", "/run/frr", "/etc/frr"]).await?;
        machine.namespace.put([(CONFIGURATION, text)]).await?;
        // Its programs run as their own user.
        machine.namespace.run("chown", &["-R", "frr:frr", "/run/frr", "/etc/frr"]).await?;
        let words = |program: &str, more: &[&str]| {
            let common = ["--vty_socket=/run/frr", "--log=stdout"];
            let program = format!("{FOLDER}/{program}");
            [&[program.as_str()], &common[..], more].concat().into_iter().map(str::to_owned).collect()
        };
        let nothing = ["--config_file=/dev/null"];
        Ok(vec![words("zebra", &nothing), words("bgpd", &[&format!("--config_file={CONFIGURATION}")])])
    }

    async fn expect(&self, machine: &Machine, spec: &RouterSpec, neighbors: &[Neighbor]) -> Result<()> {
        type_in(machine, spec, neighbors.iter().flat_map(known)).await
    }

    async fn forget(&self, machine: &Machine, spec: &RouterSpec, neighbors: &[Neighbor]) -> Result<()> {
        let unknown = neighbors.iter().map(|neighbor| format!("no neighbor {}", neighbor.address));
        type_in(machine, spec, unknown).await
    }

    async fn table(&self, machine: &Machine) -> Result<Table> {
        let show = ["--vty_socket", "/run/frr", "-c", "show bgp ipv4 unicast json"];
        let text = machine.namespace.run("vtysh", &show).await?;
        let table: Value = serde_json::from_str(&text)
            .map_err(|error| Failure::step("cannot read the router's BGP table").caused_by(&error))?;
        let routes = table["routes"].as_object().into_iter().flatten();
        Ok(routes.map(|(prefix, paths)| (prefix.clone(), next_hops(paths))).collect())
    }

    fn forwards(&self) -> bool {
        true
    }
}

fn begin(spec: &RouterSpec) -> String {
    format!("router bgp {}", spec.asn)
}

fn head(spec: &RouterSpec) -> Vec<String> {
    vec![
        format!("bgp router-id {}", spec.address),
        "no bgp ebgp-requires-policy".into(),
        "bgp graceful-restart".into(),
        format!("maximum-paths {PATHS}"),
    ]
}

/// The commands that configure a neighbor. Idempotent.
fn known(Neighbor { address, asn, password }: &Neighbor) -> Vec<String> {
    let password = match password {
        Some(password) => format!("neighbor {address} password {password}"),
        None => format!("no neighbor {address} password"),
    };
    vec![format!("neighbor {address} remote-as {asn}"), password, format!("neighbor {address} passive")]
}

/// Enters commands in its BGP configuration.
async fn type_in(
    machine: &Machine,
    spec: &RouterSpec,
    lines: impl IntoIterator<Item = String>,
) -> Result<()> {
    let lines = ["configure terminal".to_owned(), begin(spec)].into_iter().chain(lines);
    let text: String = lines.map(|line| line + "\n").collect();
    machine.namespace.feed("vtysh", &["--vty_socket", "/run/frr"], text.as_bytes()).await.map(drop)
}

fn next_hops(paths: &Value) -> Vec<String> {
    let paths = paths.as_array().into_iter().flatten();
    let hops = paths.filter_map(|path| path["nexthops"].as_array()).flatten();
    let mut hops: Vec<String> = hops.filter_map(|hop| hop["ip"].as_str().map(str::to_owned)).collect();
    hops.sort();
    hops
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_neighbor_without_a_password_loses_the_one_it_had() {
        let open = Neighbor { address: "10.0.0.2".parse().unwrap(), asn: 64512, password: None };
        assert!(known(&open).contains(&"no neighbor 10.0.0.2 password".to_owned()));
        let closed = Neighbor { password: Some("secret".into()), ..open };
        assert!(known(&closed).contains(&"neighbor 10.0.0.2 password secret".to_owned()));
    }

    #[test]
    fn next_hops_of_a_prefix_are_those_of_its_paths() {
        let paths = json!([{"nexthops": [{"ip": "10.0.0.3"}]}, {"nexthops": [{"ip": "10.0.0.2"}]}]);
        assert_eq!(next_hops(&paths), ["10.0.0.2", "10.0.0.3"]);
    }
}
