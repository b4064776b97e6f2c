//! Removes what a bootstrap installed from a cluster, also once Flux owns it.
//!
//! Flux removes what it applied, dependents first; then Flux releases what it depends on itself (its own
//! releases, the network, what the bootstrap installed before Flux), and the bootstrap removes that in reverse
//! order. CRDs and namespaces come last. `order` is pure, and so is the listing.

mod graph;
mod hold;
mod listing;
mod lost_crd;
pub(crate) mod marks;
mod order;
pub mod releases;
pub mod removal;
mod remove;
mod snapshot;
mod tree;
mod units;
mod volumes;

pub use graph::{RemovalOptions, graph};
pub use listing::{By, Part};
pub use remove::Plan;
