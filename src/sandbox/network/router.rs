//! The router of the site: a real gobgpd in a namespace of its own, with the AS numbers, addresses
//! and password that the cluster's settings declare.

use std::collections::BTreeMap;
use std::net::IpAddr;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::address::{Plan, RouterSpec};
use super::lan::Lan;
use super::machine::Machine;
use crate::failure::{Failure, Result};
use crate::sandbox::process::{Process, in_namespace_of, signal};
use crate::sandbox::programs::Programs;
use crate::sandbox::state::Folder;

/// What its machine is called.
pub(in crate::sandbox) const ROUTER: &str = "router";

/// Someone beyond the router (an address of TEST-NET-2): the outside, for checks.
pub(super) const OUTSIDE: &str = "198.51.100.1";

/// Where its configuration lies.
pub(in crate::sandbox) const CONFIGURATION: &str = "/etc/gobgpd.json";

/// The router.
pub(in crate::sandbox) struct Router {
    pub(super) machine: Machine,
    /// None if it is another sandbox's.
    process: Option<Mutex<Process>>,
    neighbors: Vec<Value>,
}

impl Router {
    /// Plugs it in and starts it.
    pub(super) async fn start(
        folder: &Folder,
        lan: &Lan,
        plan: &Plan,
        spec: &RouterSpec,
        nodes: &[(String, IpAddr)],
        programs: &Programs,
    ) -> Result<Self> {
        let machine = Machine::make(folder, ROUTER, programs).await?;
        lan.plug_in(&machine.namespace, spec.address, plan).await?;
        let script = "
            ip address add \"$1\" dev lo
            echo 1 >/proc/sys/net/ipv4/ip_forward";
        machine.namespace.script(script, &[&format!("{OUTSIDE}/32")]).await?;
        let text = configuration(spec, nodes).to_string();
        machine.namespace.put(&[(CONFIGURATION.into(), text.into_bytes())]).await?;
        let words = [
            "gobgpd",
            "--config-type=json",
            "--config-file",
            CONFIGURATION,
            "--api-hosts=127.0.0.1:50051",
            "--pprof-disable",
            "--log-plain",
        ]
        .map(str::to_owned);
        let process = machine
            .process(
                "the router".into(),
                &machine.namespace,
                &words,
                BTreeMap::new(),
                folder.path("logs/router.log"),
            )
            .start()?;
        let neighbors = neighbors(spec, nodes);
        Ok(Self { machine, process: Some(Mutex::new(process)), neighbors })
    }

    /// The router of another sandbox, which gets to know these nodes beside its own.
    pub(super) async fn join(
        folder: &Folder,
        id: u32,
        spec: &RouterSpec,
        nodes: &[(String, IpAddr)],
    ) -> Result<Self> {
        let machine = Machine::of_another(folder, ROUTER, id)?;
        let router = Self { machine, process: None, neighbors: neighbors(spec, nodes) };
        router.change(|known| known.extend(router.neighbors.iter().cloned())).await?;
        Ok(router)
    }

    /// Whether it is this sandbox's own.
    pub(super) fn is_own(&self) -> bool {
        self.process.is_some()
    }

    /// Changes whom it knows.
    async fn change(&self, change: impl FnOnce(&mut Vec<Value>)) -> Result<()> {
        let namespace = &self.machine.namespace;
        let failed = || Failure::step("the router's configuration cannot be changed");
        let text = namespace.run("cat", &[CONFIGURATION]).await?;
        let mut configuration: Value =
            serde_json::from_str(&text).map_err(|error| failed().caused_by(&error))?;
        change(configuration["neighbors"].as_array_mut().ok_or_else(failed)?);
        namespace.put(&[(CONFIGURATION.into(), configuration.to_string().into_bytes())]).await?;
        for pid in in_namespace_of(namespace.id(), "gobgpd") {
            signal(pid, Signal::HUP);
        }
        Ok(())
    }

    /// Its table: each prefix with the next hops that it was told of.
    pub(super) async fn table(&self) -> Result<Vec<(String, Vec<String>)>> {
        let text = self.machine.namespace.run("gobgp", &["--json", "global", "rib"]).await?;
        let table: Value = serde_json::from_str(&text)
            .map_err(|error| Failure::step("the router's table cannot be read").caused_by(&error))?;
        let prefixes = table.as_object().into_iter().flatten();
        Ok(prefixes.map(|(prefix, paths)| (prefix.clone(), next_hops(paths))).collect())
    }

    /// Ends it.
    pub(super) async fn end(&self) {
        match &self.process {
            Some(process) => process.lock().await.kill().await,
            None => {
                // One that is gone by now knows nobody.
                let _ =
                    self.change(|known| known.retain(|neighbor| !self.neighbors.contains(neighbor))).await;
            }
        }
        self.machine.end().await;
    }
}

fn configuration(spec: &RouterSpec, nodes: &[(String, IpAddr)]) -> Value {
    json!({
        "global": {"config": {"as": spec.asn, "router-id": spec.address.to_string()}},
        "neighbors": neighbors(spec, nodes),
    })
}

/// The nodes are known, as on a router whose keeper has typed them in; they call.
fn neighbors(spec: &RouterSpec, nodes: &[(String, IpAddr)]) -> Vec<Value> {
    let neighbor = |(_, address): &(String, IpAddr)| {
        let mut config = json!({"neighbor-address": address.to_string(), "peer-as": spec.node_asn});
        if let Some(password) = &spec.password {
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
    };
    nodes.iter().map(neighbor).collect()
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
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_router_knows_every_node_by_what_the_settings_declare() {
        let spec = RouterSpec {
            address: "10.25.11.1".parse().unwrap(),
            asn: 64501,
            node_asn: 64512,
            password: Some("secret".into()),
        };
        let nodes = [("infra-1".to_owned(), "10.25.11.31".parse().unwrap())];
        let made = configuration(&spec, &nodes);
        assert_eq!(made["global"]["config"]["as"], 64501);
        assert_eq!(
            made["neighbors"][0]["config"],
            json!({"neighbor-address": "10.25.11.31", "peer-as": 64512, "auth-password": "secret"})
        );
        let open = configuration(&RouterSpec { password: None, ..spec }, &nodes);
        assert!(open["neighbors"][0]["config"].get("auth-password").is_none());
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
