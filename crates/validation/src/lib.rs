//! Validates a repository without a cluster: rules over the declaration of every cluster.
//!
//! Pure: takes declarations, returns findings. Each rule is an entry in its family's file under `rules/`;
//! `docs/rules.md` is generated from them.

#![cfg_attr(not(test), deny(clippy::string_slice))]

pub mod graph;
pub mod init;
pub mod new_cluster;

mod bundle;
mod catalogue;
mod cel;
mod cilium_versions;
mod document;
mod finding;
mod fleet;
mod known;
mod listeners;
mod operator_secrets;
mod paths;
mod pods;
mod rule;
mod rules;
mod sarif;
mod schema;
mod services;
mod silence;

pub use bootstrapper_gitops::order::charts_known_otherwise;
pub use catalogue::{catalogue, rule_named, validate};
pub use document::rules_document;
pub use finding::{Finding, Severity};
pub use fleet::{Fleet, Placed, Refusal};
pub use rule::Rule;
pub use sarif::sarif;
pub use schema::SEEDED;
pub use silence::{Report, Silenced};
