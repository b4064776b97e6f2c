//! Faults of a real network, for rehearsals: what fails, where, and how it is repaired.

mod authority;
mod machine;
mod program;

use std::collections::BTreeMap;
use std::fmt;

use super::control_plane;
use super::kubelet::set_power;
use super::network::{LAN, ROUTER, Router, gateways};
use super::options::SandboxOptions;
use super::state::{Folder, OPTIONS_FILE, Sandbox};
use bootstrapper_cluster::{Cluster, ConnectOptions};
use bootstrapper_core::failure::{Failure, Result};

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The router is down: no sessions, no route out of the site.
    RouterDown,
    /// The router limits traffic to 64 kbit/s.
    RouterSlow,
    /// The router expects another AS number from the nodes.
    WrongAsn,
    /// The router expects another password from the nodes.
    WrongPassword,
    /// The cable of a node is unplugged.
    LinkDown,
    /// A node loses every tenth packet, in both directions.
    PacketLoss,
    /// The cable of a node has a smaller MTU than the others.
    SmallMtu,
    /// A node is down. It later resumes as after a suspend.
    NodeDown,
    /// The agent of a node is killed; the simulated kubelet restarts it.
    AgentKilled,
    /// The agent of a node hangs: its last reported status remains, and is stale.
    AgentHangs,
    /// The API server is unreachable.
    ApiServerGone,
    /// etcd is killed, and restarted with its data.
    StoreKilled,
    /// The vault gives this cluster another CA than the rest of its mesh.
    OtherAuthority,
}

/// The place of a fault.
enum Place {
    Node,
    Router,
    /// Not on a machine of the site.
    Cluster,
}

const ANOTHER: &str = "another";
const ANOTHER_ASN: u32 = 65099;

impl Fault {
    fn place(self) -> Place {
        match self {
            Self::RouterDown | Self::RouterSlow | Self::WrongAsn | Self::WrongPassword => Place::Router,
            Self::ApiServerGone | Self::StoreKilled | Self::OtherAuthority => Place::Cluster,
            _ => Place::Node,
        }
    }
}

/// Injects a fault on `machine`, by default on the router or the first node; returns where.
pub async fn inject_fault(sandbox: &Sandbox, fault: Fault, machine: Option<&str>) -> Result<String> {
    let place = place_of(sandbox, fault, machine)?;
    let folder = Folder::of(&sandbox.name)?;
    match fault {
        Fault::WrongAsn => {
            own_router(sandbox, &folder)?.expect(|node| node.asn = ANOTHER_ASN).await?;
        }
        Fault::WrongPassword => {
            own_router(sandbox, &folder)?.expect(|node| node.password = Some(ANOTHER.into())).await?;
        }
        Fault::ApiServerGone => control_plane::stop_api_server(&folder)?,
        Fault::StoreKilled => control_plane::kill_etcd(&folder),
        Fault::OtherAuthority => {
            authority::replace(&own_cluster(sandbox, &folder).await?, &folder, Some(ANOTHER)).await?;
        }
        // Its kubelet is unreachable, too.
        Fault::NodeDown | Fault::LinkDown => {
            set_power(&own_cluster(sandbox, &folder).await?, &place, false).await?;
            let is_off = fault == Fault::NodeDown;
            machine::run(sandbox, &place, if is_off { machine::OFF } else { machine::UNPLUGGED }).await?;
        }
        Fault::RouterDown => machine::run(sandbox, &place, machine::UNPLUGGED).await?,
        Fault::RouterSlow => machine::run(sandbox, &place, machine::SLOW).await?,
        Fault::PacketLoss => machine::lose_packets(sandbox, &place).await?,
        Fault::SmallMtu => {
            machine::run(sandbox, LAN, &machine::bundles_of(1)).await?;
            machine::run(sandbox, &place, machine::NARROW).await?;
        }
        Fault::AgentKilled => program::kill_agent(sandbox, &place)?,
        Fault::AgentHangs => program::stop_agent(sandbox, &place)?,
    }
    Ok(place)
}

fn place_of(sandbox: &Sandbox, fault: Fault, machine: Option<&str>) -> Result<String> {
    let fits = |name: &str| match fault.place() {
        Place::Router => name == ROUTER,
        Place::Node => name != ROUTER && name != LAN,
        Place::Cluster => false,
    };
    match (fault.place(), machine) {
        (Place::Cluster, None) => Ok(sandbox.name.clone()),
        (_, Some(machine)) => {
            sandbox.entering(machine)?;
            let unfit = || Failure::input(format!("this fault does not apply to {machine}"));
            fits(machine).then(|| machine.to_owned()).ok_or_else(unfit)
        }
        (_, None) => {
            let first = sandbox.machines.keys().find(|name| fits(name));
            // Without machines: the error says how to get some.
            sandbox.entering(first.map_or("", String::as_str))?;
            Ok(first.cloned().unwrap_or_default())
        }
    }
}

/// Reverts all faults. Healthy components are unchanged.
pub async fn heal(sandbox: &Sandbox) -> Result<()> {
    let folder = Folder::of(&sandbox.name)?;
    control_plane::restore_api_server(&folder)?;
    let cluster = own_cluster(sandbox, &folder).await?;
    let options: SandboxOptions = folder.read(OPTIONS_FILE)?;
    let gateways = match &options.router {
        Some(router) => gateways(&options, router)?,
        None => BTreeMap::new(),
    };
    for machine in sandbox.machines.keys().filter(|name| *name != LAN) {
        machine::heal(sandbox, machine, gateways.get(machine).map(String::as_str)).await?;
        if machine == ROUTER {
            own_router(sandbox, &folder)?.expect(|_| {}).await?;
        } else {
            program::wake_agent(sandbox, machine);
            set_power(&cluster, machine, true).await?;
        }
    }
    if sandbox.is_network_real() {
        machine::heal_lan(sandbox).await?;
    }
    authority::replace(&cluster, &folder, None).await
}

/// The router, with this sandbox's nodes as neighbors.
fn own_router(sandbox: &Sandbox, folder: &Folder) -> Result<Router> {
    let options: SandboxOptions = folder.read(OPTIONS_FILE)?;
    let none = || Failure::input(format!("sandbox {} has no router", sandbox.name));
    let spec = options.router.as_ref().ok_or_else(none)?;
    let id = *sandbox.machines.get(ROUTER).ok_or_else(none)?;
    Router::of_another(folder, id, spec, &options.nodes()?)
}

/// The API server, with the credentials of the sandbox's own components.
async fn own_cluster(sandbox: &Sandbox, folder: &Folder) -> Result<Cluster> {
    let kubeconfig = Some(control_plane::own_kubeconfig(folder));
    let access = ConnectOptions { kubeconfig, context: sandbox.context.clone() };
    control_plane::answering(&access).await
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RouterDown => "the router is down",
            Self::RouterSlow => "the router forwards only 64 kbit/s",
            Self::WrongAsn => "the router expects a different ASN",
            Self::WrongPassword => "the router expects a different BGP password",
            Self::LinkDown => "the link is down",
            Self::PacketLoss => "the link loses 10 % of packets",
            Self::SmallMtu => "the link drops packets larger than 1280 bytes",
            Self::NodeDown => "the node is down",
            Self::AgentKilled => "the Cilium agent was killed",
            Self::AgentHangs => "the Cilium agent hangs",
            Self::ApiServerGone => "the API server is unreachable",
            Self::StoreKilled => "etcd was killed and restarts",
            Self::OtherAuthority => "the vault returns a different mesh CA",
        })
    }
}
