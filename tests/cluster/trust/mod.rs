//! What the program promises to whoever points it at something they do not trust: a repository, a shared
//! machine, a cluster that lacks a right. `docs/design/trust.md` has a row for each promise.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::format_collect,
    clippy::struct_field_names,
    reason = "tests"
)]

use crate::common;

mod api;
mod bounds;
mod clean;
mod cluster;
mod consent;
mod markers;
mod order;
mod private;
pub(crate) mod repository;
mod rights;
pub(crate) mod sandbox;
mod secrets;
mod servers;
mod supply;
