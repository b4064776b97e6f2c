//! Requests reconciliation from Flux instead of only waiting: what it would retry only after an interval, it is
//! requested to reconcile now, like `flux reconcile`. The decision is in `due`, and pure.

mod due;
mod facts;
mod final_verdict;
mod graph;
mod handover;
#[cfg(test)]
mod mock_tests;
mod request_log;
mod requests;
mod target;

pub use graph::{ReconcileOptions, graph};
pub(crate) use handover::Handover;
pub(crate) use requests::Requests;
