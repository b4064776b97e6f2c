//! The steps of a bootstrap: `kinds` has one file per kind, the rest is shared by kinds.

#![cfg_attr(not(test), deny(clippy::string_slice))]

pub mod adoption;
pub mod plan;
pub mod reconcile;
pub mod teardown;
pub mod verify;

mod compare;
mod explain;
mod flux_owner;
mod following;
mod kinds;
mod merged_watches;
#[cfg(test)]
mod mock_tests;
mod named_objects;
mod objects;
mod owns_nothing;
mod watching;
mod webhook_backends;
mod with_location;

pub use kinds::{Awaited, NeededPermission, Wait, needed_permissions};
pub use with_location::locate;
