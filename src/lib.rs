//! `bootstrapper` carries a Kubernetes cluster from "the API server answers" to "Flux owns
//! everything and it is healthy".
//!
//! Every step of a bootstrap implements four operations on the live cluster ([`engine::Step`]); each command
//! of the program is a fold over the same plan. See `docs/design/house.md` for the crates and their
//! dependencies.

// A byte position may be inside a character: `get`, `split_once` and `strip_prefix` cannot panic.
#![cfg_attr(not(test), deny(clippy::string_slice))]

pub mod cli;

pub use bootstrapper_cluster as cluster;
pub use bootstrapper_cluster::cilium;
pub use bootstrapper_cluster::doctor;
pub use bootstrapper_convert as convert;
pub use bootstrapper_core::failure;
pub use bootstrapper_core::masking;
pub use bootstrapper_core::object;
pub use bootstrapper_core::output;
pub use bootstrapper_core::private;
pub use bootstrapper_core::yaml;
pub use bootstrapper_diagnosis as diagnosis;
pub use bootstrapper_engine as engine;
pub use bootstrapper_gitops as gitops;
pub use bootstrapper_gitops::pipeline;
pub use bootstrapper_gitops::trust;
pub use bootstrapper_readiness as readiness;
pub use bootstrapper_report as report;
#[cfg(feature = "sandbox")]
pub use bootstrapper_sandbox as sandbox;
pub use bootstrapper_steps as steps;
pub use bootstrapper_steps::adoption;
pub use bootstrapper_steps::plan;
pub use bootstrapper_steps::teardown;
pub use bootstrapper_steps::verify;
pub use bootstrapper_tools as tools;
pub use bootstrapper_validation as validation;
pub use bootstrapper_validation::graph;
pub use bootstrapper_validation::new_cluster;
