//! The command line: clap types, and one file per command, each a short fold over a plan.

mod args;
mod cancel;
mod clean;
mod completions;
mod confirm;
mod consent;
mod convert;
mod doctor;
mod entry;
mod explain;
mod fleet;
mod graph;
mod handover;
mod header;
mod history;
mod init;
mod list;
#[cfg(feature = "sandbox")]
mod network;
mod new_cluster;
mod offline;
mod out;
mod past;
mod plan;
mod plan_file;
mod problems;
mod reconcile;
mod rehearsal;
mod report;
mod repository;
mod resume;
mod run;
mod runs;
#[cfg(feature = "sandbox")]
mod sandbox;
#[cfg(not(feature = "sandbox"))]
#[path = "no_sandbox.rs"]
mod sandbox;
mod schema;
mod session;
mod show;
mod status;
mod tasks;
mod trust;
mod usage;
mod validate;
mod verify;

pub use args::Args;
pub use entry::main;
