//! A node: a machine with what a distribution's image and the network plugin's init containers provide.

use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;

use super::address::Plan;
use super::lan::Lan;
use super::machine::Machine;
use crate::programs::Programs;
use crate::state::Folder;
use bootstrapper_core::failure::Result;

/// The folder of the plugin's configuration, which its agent writes.
const CNI_FOLDER: &str = "/etc/cni/net.d";

/// A node.
pub(crate) struct Node {
    pub(super) machine: Machine,
}

impl Node {
    /// Creates it, and connects it.
    pub(super) async fn make(
        folder: &Folder,
        lan: &Lan,
        plan: &Plan,
        name: &str,
        address: IpAddr,
        programs: &Programs,
    ) -> Result<Self> {
        let machine = Machine::make(folder, name, programs).await?;
        lan.connect_node(&machine.namespace, address, plan).await?;
        let script = "
            echo 1 >/proc/sys/net/ipv4/ip_forward
            for which in all default eth0; do echo 0 >/proc/sys/net/ipv4/conf/$which/rp_filter; done
            cp /usr/bin/cilium-cni /opt/cni/bin/cilium-cni
            cp -r /opt/cilium/bpf /var/lib/cilium/bpf
            [ -e /usr/bin/clang ] || ln -s \"$1\" /usr/bin/clang";
        // The agent compiles its datapath with `clang`; distributions add the version to its name.
        let clang = super::requirements::clang().unwrap_or_default().display().to_string();
        machine.namespace.script(script, &[&clang]).await?;
        Ok(Self { machine })
    }

    pub(super) fn name(&self) -> &str {
        &self.machine.name
    }

    /// Connects from it.
    pub(crate) async fn connect(&self, address: SocketAddr) -> std::io::Result<TcpStream> {
        self.machine.namespace.connect(address).await
    }

    /// The network plugin's configuration, selected like a kubelet: the first in lexical order.
    pub(crate) async fn plugin(&self) -> Result<Option<String>> {
        let script =
            "cd \"$1\"; for file in *.conflist; do if [ -s \"$file\" ]; then exec cat \"$file\"; fi; done";
        let text = self.machine.namespace.script(script, &[CNI_FOLDER]).await?;
        Ok(Some(text).filter(|text| !text.trim().is_empty()))
    }
}
