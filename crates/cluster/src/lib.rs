//! The API server: connect, read, server-side apply, watch, lock, ledger. The only crate that sends requests
//! to it.

#![cfg_attr(not(test), deny(clippy::string_slice))]

pub mod cilium;
pub mod doctor;

mod api_error_kind;
mod apply;
mod calls;
mod clock;
mod compare;
mod connect;
mod connector;
mod credentials;
mod digest_key;
mod discovery;
mod dry_run;
mod everything;
mod exec;
mod exec_plugin;
mod failures;
mod fence;
mod helm_record;
mod helm_release;
mod history;
mod hold;
mod holder;
mod identity;
mod immutable;
mod kubeconfig;
mod lease;
mod ledger;
mod lock;
#[cfg(any(test, feature = "mock"))]
pub mod mock;
#[cfg(test)]
mod mock_tests;
mod proxy;
mod read;
mod reconcile;
mod relay;
mod removal;
mod requests;
mod retry;
mod retry_after;
mod secrets;
mod served;
mod status;
mod transport;
mod watch;

pub use apply::{FIELD_MANAGER, HELM_CONTROLLER};
pub use compare::Comparison;
pub use compare::{covers, field_differences};
pub use connect::Cluster;
pub use dry_run::{Answer, Write};
pub use everything::Everything;
pub use exec::Executed;
pub use helm_record::{ApplyMethod, ReleaseState, StoredRelease};
pub use history::{Entry, RunEnd, RunRecord, StepRecord};
pub use holder::here;
pub use identity::{Identity, IdentityRecord};
pub use kubeconfig::{ConnectOptions, contexts, has_kubeconfig};
pub use lock::Lock;
pub use reconcile::{RECONCILE_MANAGER, REQUESTED_AT};
pub use relay::Relay;
pub use requests::Requests;
pub use watch::joined;
pub use watch::{Followed, seen};

/// The namespace of the bootstrap's records in a cluster.
const HOME: &str = "kube-system";
