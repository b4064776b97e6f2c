//! Flux is asked, not only awaited: what it would look at again only after an interval, it is asked to reconcile
//! now, as `flux reconcile` does. What is due is decided in `due`, purely.

mod asked;
mod due;
mod facts;
mod final_verdict;
mod graph;
mod handover;
#[cfg(test)]
mod mock_tests;
mod requests;
mod target;

pub use graph::{Wanted, graph};
pub(crate) use handover::Handover;
pub(crate) use requests::Requests;
