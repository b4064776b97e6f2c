//! Finds root causes in what is known about a cluster. Pure: takes a scene; returns causes, and the
//! questions whose answers would reveal more.
//!
//! Rules ([`rules`]) find the faults of one object and what it waits for; the walk
//! ([`walk`]) follows that to the deepest finding. `docs/design/diagnosis.md` says why.

#![cfg_attr(not(test), deny(clippy::string_slice))]

#[cfg(test)]
mod advice_tests;
mod catalogue;
mod connection;
mod document;
mod finding;
#[cfg(test)]
mod operator_tests;
mod origin;
mod redact;
#[cfg(test)]
mod relative_tests;
mod rules;
mod scene;
#[cfg(test)]
mod tests;
mod walk;

pub use catalogue::{catalogue, code_named};
pub use connection::no_way_to_it;
pub use document::{Page, pages};
pub use finding::Code;
pub use rules::{Ended, ended, is_ceph_ill, is_node_ill};
pub use scene::{LogOf, Question, Scene};
pub use walk::{Diagnosis, Symptoms, diagnose};
