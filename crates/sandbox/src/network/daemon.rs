//! A program that routes, and what it knows.

use std::collections::BTreeMap;
use std::net::IpAddr;

use async_trait::async_trait;

use super::machine::Machine;
use crate::router_spec::RouterSpec;
use bootstrapper_core::failure::Result;

/// A node, as a router knows it whose keeper has typed it in. It is the node that calls.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Neighbor {
    pub(super) address: IpAddr,
    /// The AS number that is expected of it.
    pub asn: u32,
    /// And the password.
    pub password: Option<String>,
}

/// Prefixes and their next hops.
pub(super) type Table = BTreeMap<String, Vec<String>>;

/// A program that speaks BGP.
#[async_trait]
pub(super) trait Daemon: Send + Sync {
    /// Writes its configuration; the commands of its programs, in the order in which they start.
    async fn prepare(
        &self,
        machine: &Machine,
        spec: &RouterSpec,
        neighbors: &[Neighbor],
    ) -> Result<Vec<Vec<String>>>;
    /// Has it know these neighbors as they are. Those that it knows so already are left alone.
    async fn expect(&self, machine: &Machine, spec: &RouterSpec, neighbors: &[Neighbor]) -> Result<()>;
    /// Has it forget them.
    async fn forget(&self, machine: &Machine, spec: &RouterSpec, neighbors: &[Neighbor]) -> Result<()>;
    /// What it was told of.
    async fn table(&self, machine: &Machine) -> Result<Table>;
    /// Whether the kernel's routes follow its table by themselves.
    fn forwards(&self) -> bool;
}
