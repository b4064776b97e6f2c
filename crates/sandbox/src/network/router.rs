//! The router of the site: a real one in a namespace of its own, with the AS numbers, addresses and
//! password that the cluster's settings declare. Which program it is, is a [`Daemon`].

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

/// What its machine is called.
pub(crate) const ROUTER: &str = "router";

/// Someone beyond the router (an address of TEST-NET-2): the outside, for checks.
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
    /// None if it is another sandbox's.
    processes: Option<Mutex<Vec<Process>>>,
    spec: RouterSpec,
    nodes: Vec<Neighbor>,
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

    /// The router of another sandbox, which gets to know these nodes beside its own.
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

    /// One that runs elsewhere, as far as it knows these nodes.
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

    /// Has it expect of the nodes what is declared, but for a change.
    pub(crate) async fn expect(&self, change: impl Fn(&mut Neighbor)) -> Result<()> {
        let mut nodes = self.nodes.clone();
        nodes.iter_mut().for_each(change);
        self.daemon.expect(&self.machine, &self.spec, &nodes).await
    }

    /// Whether it is this sandbox's own.
    pub(super) fn is_own(&self) -> bool {
        self.processes.is_some()
    }

    /// Whether its kernel's routes follow its table by themselves.
    pub(super) fn forwards(&self) -> bool {
        self.daemon.forwards()
    }

    /// Its table: each prefix with the next hops that it was told of.
    pub(super) async fn table(&self) -> Result<Table> {
        self.daemon.table(&self.machine).await
    }

    /// Ends it.
    pub(super) async fn end(&self) {
        match &self.processes {
            Some(processes) => {
                for process in processes.lock().await.iter_mut() {
                    process.kill().await;
                }
            }
            None => {
                // One that is gone by now knows nobody.
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
