//! What needs programs and no cluster: rules, builds against their originals, layouts, verbs that read.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::format_collect,
    clippy::format_push_string,
    clippy::struct_field_names,
    reason = "tests"
)]

#[path = "../common/mod.rs"]
mod common;

mod backups;
mod bad_input;
mod builds;
mod cases;
mod convert;
mod decryption;
mod derived;
mod desired_state;
mod docs;
mod doctor;
mod downloads;
mod graph;
mod house;
mod init;
mod kubernetes;
mod layouts;
mod names;
mod new_cluster;
mod plan;
mod post_render;
mod private_charts;
mod readiness;
mod renovate;
mod report;
mod rules;
mod schemas;
mod secrets;
mod signed_charts;
mod styles;
mod substitution;
mod taskfile;
mod tenants;
mod unfit_charts;
mod validate;
mod values;
mod walkthrough;
mod wording;
