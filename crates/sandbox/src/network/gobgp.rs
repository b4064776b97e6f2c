//! gobgpd as the router. It reads its neighbors from a file, and reloads it on a signal; it does not install
//! routes into the kernel.

use std::time::Duration;

use async_trait::async_trait;
use backon::{ConstantBuilder, Retryable as _};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::daemon::{Daemon, Neighbor, Table};
use super::machine::Machine;
use crate::process::{in_namespace_of, signal};
use crate::router_spec::RouterSpec;
use bootstrapper_core::failure::{Failure, Result};

/// The path of its configuration.
const CONFIGURATION: &str = "/etc/gobgpd.json";

pub(super) struct Gobgp;

#[async_trait]
impl Daemon for Gobgp {
    async fn prepare(
        &self,
        machine: &Machine,
        spec: &RouterSpec,
        neighbors: &[Neighbor],
    ) -> Result<Vec<Vec<String>>> {
        machine.namespace.put([(CONFIGURATION, configuration(spec, neighbors).to_string())]).await?;
        let words = [
            "gobgpd",
            "--config-type=json",
            "--config-file",
            CONFIGURATION,
            "--api-hosts=127.0.0.1:50051",
            "--pprof-disable",
            "--log-plain",
        ];
        Ok(vec![words.map(str::to_owned).into()])
    }

    /// A reload handles any number of added and removed neighbors, but only one changed one
    /// (`pkg/config.updateNeighbors`): changed ones are removed first.
    async fn expect(&self, machine: &Machine, _: &RouterSpec, neighbors: &[Neighbor]) -> Result<()> {
        let wanted: Vec<Value> = neighbors.iter().map(written).collect();
        let mut known = read(machine).await?;
        let all = neighbors_in(&mut known)?;
        if wanted.iter().all(|neighbor| all.contains(neighbor)) {
            return Ok(());
        }
        if all.iter().any(|one| is_among(one, &wanted)) {
            all.retain(|one| !is_among(one, &wanted));
            reload(machine, &known).await?;
            let gone = || async { if keeps_up(machine, &wanted).await? { Err(failed()) } else { Ok(()) } };
            let policy = ConstantBuilder::default().with_delay(Duration::from_millis(50)).with_max_times(100);
            gone.retry(policy).await?;
        }
        neighbors_in(&mut known)?.extend(wanted);
        reload(machine, &known).await
    }

    async fn forget(&self, machine: &Machine, _: &RouterSpec, neighbors: &[Neighbor]) -> Result<()> {
        let unwanted: Vec<Value> = neighbors.iter().map(written).collect();
        let mut known = read(machine).await?;
        neighbors_in(&mut known)?.retain(|one| !is_among(one, &unwanted));
        reload(machine, &known).await
    }

    async fn table(&self, machine: &Machine) -> Result<Table> {
        let text = machine.namespace.run("gobgp", &["--json", "global", "rib"]).await?;
        let table: Value = serde_json::from_str(&text)
            .map_err(|error| Failure::step("cannot read the router's BGP table").caused_by(&error))?;
        let prefixes = table.as_object().into_iter().flatten();
        Ok(prefixes.map(|(prefix, paths)| (prefix.clone(), next_hops(paths))).collect())
    }

    fn forwards(&self) -> bool {
        false
    }
}

fn failed() -> Failure {
    Failure::step("cannot change the router's configuration")
}

async fn read(machine: &Machine) -> Result<Value> {
    let text = machine.namespace.run("cat", &[CONFIGURATION]).await?;
    serde_json::from_str(&text).map_err(|error| failed().caused_by(&error))
}

async fn reload(machine: &Machine, configuration: &Value) -> Result<()> {
    machine.namespace.put([(CONFIGURATION, configuration.to_string())]).await?;
    for pid in in_namespace_of(machine.namespace.id(), "gobgpd") {
        signal(pid, Signal::HUP);
    }
    Ok(())
}

fn neighbors_in(configuration: &mut Value) -> Result<&mut Vec<Value>> {
    configuration["neighbors"].as_array_mut().ok_or_else(failed)
}

fn address_of(neighbor: &Value) -> &Value {
    &neighbor["config"]["neighbor-address"]
}

fn is_among(neighbor: &Value, others: &[Value]) -> bool {
    others.iter().any(|other| address_of(other) == address_of(neighbor))
}

/// Whether it has a session with any of these, or tries to establish one.
async fn keeps_up(machine: &Machine, neighbors: &[Value]) -> Result<bool> {
    let printed = machine.namespace.run("gobgp", &["--json", "neighbor"]).await?;
    Ok(neighbors.iter().any(|neighbor| printed.contains(&address_of(neighbor).to_string())))
}

fn configuration(spec: &RouterSpec, neighbors: &[Neighbor]) -> Value {
    json!({
        "global": {"config": {"as": spec.asn, "router-id": spec.address.to_string()}},
        "neighbors": neighbors.iter().map(written).collect::<Vec<_>>(),
    })
}

fn written(neighbor: &Neighbor) -> Value {
    let mut config = json!({"neighbor-address": neighbor.address.to_string(), "peer-as": neighbor.asn});
    if let Some(password) = &neighbor.password {
        config["auth-password"] = password.clone().into();
    }
    json!({
        "config": config,
        "transport": {"config": {"passive-mode": true}},
        "graceful-restart": {"config": {"enabled": true, "restart-time": 120}},
        "afi-safis": [{
            "config": {"afi-safi-name": "ipv4-unicast"},
            "mp-graceful-restart": {"config": {"enabled": true}},
        }],
    })
}

fn next_hops(paths: &Value) -> Vec<String> {
    let paths = paths.as_array().into_iter().flatten();
    let mut hops: Vec<String> = paths
        .filter_map(|path| {
            let attributes = path["attrs"].as_array()?;
            attributes.iter().find_map(|attribute| attribute["nexthop"].as_str()).map(str::to_owned)
        })
        .collect();
    hops.sort();
    hops
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router_spec::RouterProgram;

    #[test]
    fn it_knows_every_node_by_what_the_settings_declare() {
        let spec = RouterSpec {
            address: "10.25.11.1".parse().unwrap(),
            asn: 64501,
            node_asn: 64512,
            password: None,
            program: RouterProgram::Gobgp,
        };
        let address = "10.25.11.31".parse().unwrap();
        let node = Neighbor { address, asn: 64512, password: Some("secret".into()) };
        let made = configuration(&spec, std::slice::from_ref(&node));
        assert_eq!(made["global"]["config"]["as"], 64501);
        assert_eq!(
            made["neighbors"][0]["config"],
            json!({"neighbor-address": "10.25.11.31", "peer-as": 64512, "auth-password": "secret"})
        );
        let open = written(&Neighbor { password: None, ..node });
        assert!(open["config"].get("auth-password").is_none());
    }

    #[test]
    fn next_hops_of_a_prefix_are_those_of_its_paths() {
        let paths = json!([
            {"attrs": [{"type": 1}, {"type": 3, "nexthop": "10.25.11.32"}]},
            {"attrs": [{"type": 3, "nexthop": "10.25.11.31"}]},
        ]);
        assert_eq!(next_hops(&paths), ["10.25.11.31", "10.25.11.32"]);
    }
}
