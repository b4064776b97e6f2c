//! How Flux takes over what the bootstrap installed: a forecast of what it will change (`forecast`), and what
//! it did change, by comparison with a record of the state before (`record`, `kept`).
//!
//! The rules of kustomize-controller and Helm, and the comparison of records, are pure. `dry_run` and
//! `observe` query the cluster, and write nothing.

mod certificate;
mod dropped;
mod dry_run;
mod dry_run_release;
mod effect;
mod forecast;
mod helm_rules;
mod kept;
pub(crate) mod kustomize_rules;
mod observe;
mod record;
mod verdict;

use std::sync::Arc;

pub use effect::{Effect, ObjectForecast};
pub use forecast::{Counts, Forecast, Hook, Unseen};
pub use kept::OwnerComparison;
pub use record::{Ledger, ObjectRecord, OwnerRecord, PodRecord, Record};
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
