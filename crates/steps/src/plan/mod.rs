//! Combines pipeline and repository into a graph of steps, with all inputs rendered.

mod build;
mod check;
mod digest;
mod lock_gate;
mod manifests;
mod outline;
mod planner;
mod secrets;

pub use build::{Inputs, build};
pub use check::check;
pub(crate) use check::unversioned;
pub use lock_gate::{HeldLock, LockGate};
pub use manifests::{ManifestSources, Manifests, build_manifests};
pub use outline::{OutlinedStep, outline};
pub(crate) use planner::{Planned, Planner};
pub use secrets::{KeyProof, SecretSources, Secrets, prove_keys, resolve as resolve_secrets};
