//! The addresses of the machines of a site, from the cluster's settings.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::options::SandboxOptions;
use crate::router_spec::{RouterSpec, parsed};
use bootstrapper_core::failure::{Failure, Result};

/// The addresses of the machines of the site.
pub(super) struct Plan {
    /// Its networks, each with a cable of its own.
    pub(super) networks: Vec<IpNet>,
    /// The API server's address and port.
    pub(super) api_server: (IpAddr, u16),
    /// The router's address, in one of the networks.
    router: IpAddr,
}

impl Plan {
    pub(super) fn of(options: &SandboxOptions, router: &RouterSpec) -> Result<Self> {
        let networks = options.node_networks()?;
        let api_server = options.api_server.as_deref().unwrap_or_default();
        let plan = Self {
            networks,
            api_server: (parsed("API_SERVER_HOST", api_server)?, options.api_port),
            router: router.address,
        };
        for (name, address) in [("API_SERVER_HOST", plan.api_server.0), ("BGP_ROUTER_ADDRESS", plan.router)] {
            if !plan.networks.iter().any(|network| network.contains(&address)) {
                let (setting, ranges) = match options.node_subnets.as_slice() {
                    [] => ("NODE_CIDR", options.node_cidr.clone()),
                    subnets => ("NODE_SUBNETS", subnets.join(", ")),
                };
                return Err(Failure::input(format!("{name} {address} is not in {setting} {ranges}"))
                    .because("the sandbox has no other networks")
                    .hint("change one of them, or use --network simulated"));
            }
        }
        Ok(plan)
    }

    /// The number of the network that an address is in.
    pub(super) fn number_of(&self, address: IpAddr) -> usize {
        self.networks.iter().position(|network| network.contains(&address)).unwrap_or_default()
    }

    /// The router's address in a network, which is the default gateway of its machines: the declared one, or else
    /// the first.
    pub(super) fn gateway(&self, network: &IpNet) -> IpAddr {
        if network.contains(&self.router) {
            return self.router;
        }
        network.hosts().next().unwrap_or(self.router)
    }

    /// The default gateway of the machine with this address.
    pub(super) fn gateway_of(&self, address: IpAddr) -> IpAddr {
        self.networks.get(self.number_of(address)).map_or(self.router, |network| self.gateway(network))
    }

    /// An address with the prefix length of its network, in the syntax of `ip`.
    pub(super) fn with_prefix(&self, address: IpAddr) -> String {
        let network = self.networks.get(self.number_of(address));
        format!("{address}/{}", network.map_or(address_length(address), IpNet::prefix_len))
    }
}

fn address_length(address: IpAddr) -> u8 {
    IpNet::from(address).prefix_len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_router_is_the_gateway_of_every_network() {
        let plan = Plan {
            networks: vec!["10.25.11.0/24".parse().unwrap(), "10.25.10.0/25".parse().unwrap()],
            api_server: ("10.25.11.10".parse().unwrap(), 6443),
            router: "10.25.11.254".parse().unwrap(),
        };
        for (address, gateway, with_prefix) in [
            ("10.25.11.31", "10.25.11.254", "10.25.11.31/24"),
            ("10.25.10.31", "10.25.10.1", "10.25.10.31/25"),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(plan.gateway_of(address).to_string(), gateway);
            assert_eq!(plan.with_prefix(address), with_prefix);
        }
    }
}
