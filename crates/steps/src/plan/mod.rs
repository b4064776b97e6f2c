//! Joins pipeline and repository into a graph of steps, every input rendered.

mod build;
mod digest;
mod lock_gate;
mod manifests;
mod outline;
mod planner;
mod secrets;

pub use build::{Inputs, build, check};
pub use lock_gate::{HeldLock, LockGate};
pub use manifests::{ManifestSources, Manifests, build_manifests};
pub(crate) use outline::unversioned;
pub use outline::{OutlinedStep, outline};
pub(crate) use planner::{Planned, Planner};
pub use secrets::{SecretSources, Secrets, prove_keys, resolve as resolve_secrets};
