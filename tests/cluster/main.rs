//! What needs a cluster: a control plane of its own for each, as each disturbs it in its own way.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::format_collect,
    clippy::struct_field_names,
    reason = "tests"
)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../strangers/mod.rs"]
mod strangers;

mod end_to_end;
mod gallery;
mod layouts;
mod others;
mod proxy;
mod releases;
mod reliability;
mod styles;
mod survival;
mod trust;
