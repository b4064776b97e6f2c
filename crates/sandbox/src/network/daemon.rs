//! The interface of a routing daemon.

use std::collections::BTreeMap;
use std::net::IpAddr;

use async_trait::async_trait;

use super::machine::Machine;
use crate::router_spec::RouterSpec;
use bootstrapper_core::failure::Result;

/// A node, as configured in the router. The node initiates the session.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Neighbor {
    pub(super) address: IpAddr,
    /// Its expected AS number.
    pub asn: u32,
    /// Its expected password.
    pub password: Option<String>,
}

/// Prefixes and their next hops.
pub(super) type Table = BTreeMap<String, Vec<String>>;

/// A program that speaks BGP.
#[async_trait]
pub(super) trait Daemon: Send + Sync {
    /// Writes its configuration; returns the commands of its programs, in start order.
    async fn prepare(
        &self,
        machine: &Machine,
        spec: &RouterSpec,
        neighbors: &[Neighbor],
    ) -> Result<Vec<Vec<String>>>;
    /// Configures these neighbors. Unchanged ones are left alone.
    async fn expect(&self, machine: &Machine, spec: &RouterSpec, neighbors: &[Neighbor]) -> Result<()>;
    /// Removes these neighbors.
    async fn forget(&self, machine: &Machine, spec: &RouterSpec, neighbors: &[Neighbor]) -> Result<()>;
    /// Its received routes.
    async fn table(&self, machine: &Machine) -> Result<Table>;
    /// Whether it installs its routes into the kernel itself.
    fn forwards(&self) -> bool;
}
