//! The cables of a site: a bridge for each of its networks, all in one namespace. It has the API server's declared
//! address, which is forwarded to the real API server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

use super::address::Plan;
use super::forward::forward;
use super::namespace::Namespace;
use crate::state::Folder;
use bootstrapper_core::failure::Result;

/// The name of its namespace.
pub(crate) const LAN: &str = "lan";

/// The bridges, and their namespace.
pub(super) struct Lan {
    namespace: Namespace,
    ports: AtomicU32,
}

/// The bridge of a network, by its number.
fn bridge(number: usize) -> String {
    format!("{LAN}{number}")
}

impl Lan {
    /// Creates the bridges, with the API server's address.
    pub(super) async fn create(folder: &Folder, plan: &Plan) -> Result<Self> {
        let namespace = Namespace::hold(folder, LAN).await?;
        let script = "
            ip link set lo up
            for bridge; do
                ip link add \"$bridge\" type bridge
                ip link set \"$bridge\" up
            done";
        let bridges: Vec<String> = (0..plan.networks.len()).map(bridge).collect();
        namespace.script(script, &bridges.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        let own = plan.api_server.0;
        let script = "
            ip address add \"$1\" dev \"$2\"
            ip route add default via \"$3\"";
        let (address, gateway) = (plan.with_prefix(own), plan.gateway_of(own).to_string());
        namespace.script(script, &[&address, &bridge(plan.number_of(own)), &gateway]).await?;
        Ok(Self { namespace, ports: AtomicU32::new(1) })
    }

    /// Connects a node: its `eth0` gets the address, and it sends everything else to the router.
    pub(super) async fn connect_node(&self, node: &Namespace, address: IpAddr, plan: &Plan) -> Result<()> {
        self.plug_in(node, plan.number_of(address), "eth0", &plan.with_prefix(address)).await?;
        let gateway = plan.gateway_of(address).to_string();
        node.run("ip", &["route", "add", "default", "via", &gateway]).await.map(drop)
    }

    /// Connects the router to every network.
    pub(super) async fn connect_router(&self, router: &Namespace, plan: &Plan) -> Result<()> {
        for (number, network) in plan.networks.iter().enumerate() {
            let address = plan.with_prefix(plan.gateway(network));
            self.plug_in(router, number, &format!("eth{number}"), &address).await?;
        }
        Ok(())
    }

    async fn plug_in(&self, machine: &Namespace, network: usize, device: &str, address: &str) -> Result<()> {
        let port = format!("port{}", self.ports.fetch_add(1, Ordering::Relaxed));
        let script = "
            ip link add \"$1\" type veth peer name \"$2\" netns \"$3\"
            ip link set \"$1\" master \"$4\" up";
        let words = [&port, device, &machine.id().to_string(), &bridge(network)];
        self.namespace.script(script, &words).await?;
        let script = "
            ip link set lo up
            ip address add \"$1\" dev \"$2\"
            # Whoever knew another machine by this address is told.
            echo 1 >/proc/sys/net/ipv4/conf/\"$2\"/arp_notify
            ip link set \"$2\" up";
        machine.script(script, &[address, device]).await.map(drop)
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

    /// Connects its cables to those of another sandbox, so that each network is one. A second connection would make
    /// a loop.
    pub(super) async fn join(&self, other: &Namespace, plan: &Plan) -> Result<()> {
        for bridge in (0..plan.networks.len()).map(bridge) {
            let script = "
                ip link delete \"$1\" 2>/dev/null || true
                ip link add \"$1\" type veth peer name \"$1\" netns \"$2\"
                ip link set \"$1\" master \"$3\" up";
            let name = format!("{}-{bridge}", self.namespace.id());
            self.namespace.script(script, &[&name, &other.id().to_string(), &bridge]).await?;
            other.run("ip", &["link", "set", &name, "master", &bridge, "up"]).await?;
        }
        Ok(())
    }

    /// The process that holds its namespace.
    pub(super) fn id(&self) -> u32 {
        self.namespace.id()
    }

    pub(super) async fn end(&self) {
        self.namespace.end().await;
    }
}
