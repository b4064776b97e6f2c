//! The addresses of the machines of a site, from the cluster's settings.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::options::SandboxOptions;
use crate::router_spec::{RouterSpec, parsed};
use bootstrapper_core::failure::{Failure, Result};

/// The addresses of the machines on the cable.
pub(super) struct Plan {
    /// The network of the cable.
    pub(super) network: IpNet,
    /// The API server's address and port.
    pub(super) api_server: (IpAddr, u16),
    /// The router's address, which is every machine's default gateway.
    pub(super) router: IpAddr,
}

impl Plan {
    pub(super) fn of(options: &SandboxOptions, router: &RouterSpec) -> Result<Self> {
        let network: IpNet = parsed("NODE_CIDR", &options.node_cidr)?;
        let api_server = options.api_server.as_deref().unwrap_or_default();
        let plan = Self {
            network,
            api_server: (parsed("API_SERVER_HOST", api_server)?, options.api_port),
            router: router.address,
        };
        for (name, address) in [("API_SERVER_HOST", plan.api_server.0), ("BGP_ROUTER_ADDRESS", plan.router)] {
            if !network.contains(&address) {
                return Err(Failure::input(format!("{name} {address} is not in NODE_CIDR {network}"))
                    .because("the sandbox has a single node network")
                    .hint("change one of them, or use --network simulated"));
            }
        }
        Ok(plan)
    }

    /// An address with the prefix length of its network, in the syntax of `ip`.
    pub(super) fn with_prefix(&self, address: IpAddr) -> String {
        format!("{address}/{}", self.network.prefix_len())
    }
}
