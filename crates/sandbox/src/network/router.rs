//! The router of the site: a real one in its own namespace, with the AS numbers, addresses and password from
//! the cluster's settings. A [`Daemon`] is its program.

use std::collections::BTreeMap;
use std::net::IpAddr;

use tokio::sync::Mutex;

use super::address::Plan;
use super::daemon::{Daemon, Neighbor, Table};
use super::frr::Frr;
use super::gobgp::Gobgp;
use super::lan::Lan;
use super::machine::Machine;
use crate::process::Process;
use crate::programs::Programs;
use crate::router_spec::{RouterProgram, RouterSpec};
use crate::state::Folder;
use bootstrapper_core::failure::Result;

/// The name of its machine.
pub(crate) const ROUTER: &str = "router";

/// A host beyond the router (an address of TEST-NET-2), which is outside the cluster for checks.
pub(super) const OUTSIDE: &str = "198.51.100.1";

fn daemon_of(program: RouterProgram) -> Box<dyn Daemon> {
    match program {
        RouterProgram::Gobgp => Box::new(Gobgp),
        RouterProgram::Frr => Box::new(Frr),
    }
}

/// The router.
pub(crate) struct Router {
    pub(super) machine: Machine,
    daemon: Box<dyn Daemon>,
    /// None if it belongs to another sandbox.
    processes: Option<Mutex<Vec<Process>>>,
    spec: RouterSpec,
    nodes: Vec<Neighbor>,
}

impl Router {
    /// Connects and starts it.
    pub(super) async fn start(
        folder: &Folder,
        lan: &Lan,
        plan: &Plan,
        spec: &RouterSpec,
        nodes: &[(String, IpAddr)],
        programs: &Programs,
    ) -> Result<Self> {
        let machine = Machine::make(folder, ROUTER, programs).await?;
        lan.connect_router(&machine.namespace, plan).await?;
        let script = "
            ip address add \"$1\" dev lo
            echo 1 >/proc/sys/net/ipv4/ip_forward";
        machine.namespace.script(script, &[&format!("{OUTSIDE}/32")]).await?;
        let (daemon, nodes) = (daemon_of(spec.program), neighbors(spec, nodes));
        let log = folder.path("logs/router.log");
        let mut processes = Vec::new();
        for words in daemon.prepare(&machine, spec, &nodes).await? {
            let name = "the router".to_owned();
            let process = machine.process(name, &machine.namespace, &words, BTreeMap::new(), log.clone());
            processes.push(process.start()?);
        }
        Ok(Self { machine, daemon, processes: Some(Mutex::new(processes)), spec: spec.clone(), nodes })
    }

    /// The router of another sandbox, with these nodes as additional neighbors.
    pub(super) async fn join(
        folder: &Folder,
        id: u32,
        spec: &RouterSpec,
        nodes: &[(String, IpAddr)],
    ) -> Result<Self> {
        let router = Self::of_another(folder, id, spec, nodes)?;
        router.expect(|_| {}).await?;
        Ok(router)
    }

    /// A router that runs elsewhere, with these nodes as neighbors.
    pub(crate) fn of_another(
        folder: &Folder,
        id: u32,
        spec: &RouterSpec,
        nodes: &[(String, IpAddr)],
    ) -> Result<Self> {
        let machine = Machine::of_another(folder, ROUTER, id)?;
        let (daemon, nodes) = (daemon_of(spec.program), neighbors(spec, nodes));
        Ok(Self { machine, daemon, processes: None, spec: spec.clone(), nodes })
    }

    /// Configures the declared neighbors, with a change.
    pub(crate) async fn expect(&self, change: impl Fn(&mut Neighbor)) -> Result<()> {
        let mut nodes = self.nodes.clone();
        nodes.iter_mut().for_each(change);
        self.daemon.expect(&self.machine, &self.spec, &nodes).await
    }

    /// Whether it belongs to this sandbox.
    pub(super) fn is_own(&self) -> bool {
        self.processes.is_some()
    }

    /// Whether it installs its routes into the kernel itself.
    pub(super) fn forwards(&self) -> bool {
        self.daemon.forwards()
    }

    /// Its routes: each prefix with its next hops.
    pub(super) async fn table(&self) -> Result<Table> {
        self.daemon.table(&self.machine).await
    }

    /// Stops it.
    pub(super) async fn end(&self) {
        match &self.processes {
            Some(processes) => {
                for process in processes.lock().await.iter_mut() {
                    process.kill().await;
                }
            }
            None => {
                // A router that is gone has no neighbors.
                let _ = self.daemon.forget(&self.machine, &self.spec, &self.nodes).await;
            }
        }
        self.machine.end().await;
    }
}

fn neighbors(spec: &RouterSpec, nodes: &[(String, IpAddr)]) -> Vec<Neighbor> {
    let neighbor = |(_, address): &(String, IpAddr)| Neighbor {
        address: *address,
        asn: spec.node_asn,
        password: spec.password.clone(),
    };
    nodes.iter().map(neighbor).collect()
}
