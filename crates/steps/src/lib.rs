//! One file per kind of step: the four questions.

#![cfg_attr(not(test), deny(clippy::string_slice))]

pub mod adoption;
pub mod plan;
pub mod teardown;
pub mod verify;

mod answering;
mod asked_sessions;
mod checks;
mod command;
mod compare;
mod crd_source;
mod crds;
mod doubted_sessions;
mod explain;
mod flux_owner;
mod gateway_repair;
mod handover;
mod lacking;
mod objects;
mod placed;
mod release;
mod release_need;
mod seeing;
mod takeover;
mod unheard_peers;
mod wait;
mod watching;

pub use checks::{Checks, Subject};
pub use command::Command;
pub use crd_source::CrdSource;
pub use crds::Crds;
pub use explain::Explainer;
pub use flux_owner::FluxOwner;
pub use gateway_repair::GatewayRepair;
pub use handover::Handover;
pub use lacking::{Lacking, Made};
pub use objects::Objects;
pub use placed::{Placed, place};
pub use release::Release;
pub use takeover::{Confirm, Foretell};
pub use wait::{Awaited, Wait};
