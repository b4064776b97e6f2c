//! `bootstrapper` carries a Kubernetes cluster from "the API server answers" to "Flux owns
//! everything and it is healthy".
//!
//! Every step of a bootstrap answers four questions about the live cluster ([`engine::Step`]);
//! each verb of the program is one fold over the same plan. A folder is a room with one job, and
//! arrows between rooms go down only; `docs/design/house.md` draws them.

// A position in a text may be inside a character: `get`, `split_once` and `strip_prefix` cannot panic.
#![cfg_attr(not(test), deny(clippy::string_slice))]

pub mod adoption;
pub mod cilium;
pub mod cli;
pub mod cluster;
pub mod convert;
pub mod diagnosis;
mod digest;
pub mod doctor;
pub mod engine;
pub mod failure;
mod files;
#[cfg(test)]
mod fuzzing;
pub mod gitops;
pub mod graph;
mod loopback;
pub mod masking;
pub mod new_cluster;
pub mod object;
pub mod output;
mod passing;
pub mod pipeline;
pub mod plan;
pub mod private;
pub mod readiness;
pub mod report;
pub mod sandbox;
mod selector;
pub mod steps;
pub mod teardown;
pub mod tools;
pub mod trust;
pub mod validation;
pub mod verify;
mod words;
pub mod yaml;
