//! One file per kind of step: the four questions.

#![cfg_attr(not(test), deny(clippy::string_slice))]

pub mod adoption;
pub mod plan;
pub mod teardown;
pub mod verify;

mod bgp_peering_policy_status;
mod bgp_status_recheck;
mod checks;
mod command;
mod compare;
mod crd_source;
mod crds;
mod explain;
mod flux_owner;
mod gateway_repair;
mod handover;
mod merged_watches;
mod mesh_peers;
mod named_objects;
mod objects;
mod owns_nothing;
mod release;
mod release_need;
mod takeover;
mod wait;
mod watching;
mod webhook_backends;
mod with_location;

pub use checks::{Checks, Subject};
pub use command::Command;
pub use crd_source::CrdSource;
pub use crds::Crds;
pub use explain::Explainer;
pub use flux_owner::FluxOwner;
pub use gateway_repair::GatewayRepair;
pub use handover::Handover;
pub use named_objects::NamedObjects;
pub use objects::Objects;
pub use release::Release;
pub use takeover::{Confirm, Foretell};
pub use wait::{Awaited, Wait};
pub use with_location::{WithLocation, locate};
