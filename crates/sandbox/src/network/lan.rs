//! The cable of a site: a bridge in its own namespace. It has the API server's declared address, which is
//! forwarded to the real API server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

use super::address::Plan;
use super::forward::forward;
use super::namespace::Namespace;
use crate::state::Folder;
use bootstrapper_core::failure::Result;

/// The name of its namespace.
pub(crate) const LAN: &str = "lan";

/// A bridge, and its namespace.
pub(super) struct Lan {
    namespace: Namespace,
    ports: AtomicU32,
}

impl Lan {
    /// Creates the bridge, with the API server's address.
    pub(super) async fn create(folder: &Folder, plan: &Plan) -> Result<Self> {
        let namespace = Namespace::hold(folder, LAN).await?;
        let script = "
            ip link set lo up
            ip link add lan type bridge
            ip address add \"$1\" dev lan
            ip link set lan up
            ip route add default via \"$2\"";
        let address = plan.with_prefix(plan.api_server.0);
        namespace.script(script, &[&address, &plan.router.to_string()]).await?;
        Ok(Self { namespace, ports: AtomicU32::new(1) })
    }

    /// Connects a machine: its `eth0` gets the address.
    pub(super) async fn plug_in(&self, machine: &Namespace, address: IpAddr, plan: &Plan) -> Result<()> {
        let port = format!("port{}", self.ports.fetch_add(1, Ordering::Relaxed));
        let script = "
            ip link add \"$1\" type veth peer name eth0 netns \"$2\"
            ip link set \"$1\" master lan up";
        self.namespace.script(script, &[&port, &machine.id().to_string()]).await?;
        let script = "
            ip link set lo up
            ip address add \"$1\" dev eth0
            # Whoever knew another machine by this address is told.
            echo 1 >/proc/sys/net/ipv4/conf/eth0/arp_notify
            ip link set eth0 up";
        machine.script(script, &[&plan.with_prefix(address)]).await?;
        if address != plan.router {
            machine.run("ip", &["route", "add", "default", "via", &plan.router.to_string()]).await?;
        }
        Ok(())
    }

    /// Forwards the API server's declared address, also at the port in the endpoints of the Service
    /// `kubernetes`: its own.
    pub(super) async fn serve_api_server(&self, plan: &Plan, port: u16) -> Result<()> {
        let (address, declared) = plan.api_server;
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        for port in [declared, port] {
            forward(&self.namespace, SocketAddr::from((address, port)), here).await?;
        }
        Ok(())
    }

    /// Connects it to the cable of another sandbox, forming one network. A second connection would make a loop.
    pub(super) async fn join(&self, other: &Namespace) -> Result<()> {
        let script = "
            ip link delete \"$1\" 2>/dev/null || true
            ip link add \"$1\" type veth peer name \"$1\" netns \"$2\"
            ip link set \"$1\" master lan up";
        let name = format!("to-{}", self.namespace.id());
        self.namespace.script(script, &[&name, &other.id().to_string()]).await?;
        other.run("ip", &["link", "set", &name, "master", "lan", "up"]).await.map(drop)
    }

    /// The process that holds its namespace.
    pub(super) fn id(&self) -> u32 {
        self.namespace.id()
    }

    pub(super) async fn end(&self) {
        self.namespace.end().await;
    }
}
