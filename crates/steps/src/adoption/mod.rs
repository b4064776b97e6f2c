//! How Flux takes over what the bootstrap installed: a forecast of what it will change (`forecast`), and what
//! it did change, by comparison with a record of the state before (`record`, `kept`).
//!
//! The rules of kustomize-controller and Helm, and the comparison of records, are pure. `foretell` and
//! `observe` query the cluster, and write nothing.

mod certificate;
mod dropped;
mod effect;
mod forecast;
mod foretell;
mod foretell_release;
mod helm_rules;
mod kept;
pub(crate) mod kustomize_rules;
mod observe;
mod record;
mod verdict;

use std::sync::Arc;

pub use effect::{Effect, Foretold};
pub use forecast::{Counts, Forecast, Hook, Unseen};
pub use kept::Kept;
pub use record::{Holding, Ledger, PodRecord, Record, Standing};
pub use verdict::Verdict;

use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::Result;
use bootstrapper_gitops::Declared;
use bootstrapper_tools::Helm;

/// The input of an adoption.
#[derive(Clone)]
pub struct Adoption {
    /// The API server.
    pub cluster: Cluster,
    /// What the cluster declares.
    pub declared: Arc<Declared>,
    /// Renders releases; or the reason why Helm is missing.
    pub helm: Result<Arc<Helm>>,
}
