//! How a cluster is emptied of what a bootstrap brought, once Flux owns it.
//!
//! What Flux applied goes through Flux, what depends on others first; then Flux releases what it runs on
//! (its own releases, the network, what the bootstrap installed before Flux), and the bootstrap removes
//! that as it came, the last first. CRDs and namespaces go last. `order` is pure, and so is what is told.

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

pub use graph::{Manner, graph};
pub use listing::{By, Part};
pub use remove::Plan;
