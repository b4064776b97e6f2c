//! The kinds of steps: how each is planned for a cluster, and what it does there. One file per kind, with the
//! same name as in `gitops::pipeline::kinds`.

mod adoption;
mod checks;
mod command;
mod crds;
mod handover;
mod kustomization;
mod manifest;
mod namespaces;
mod objects;
mod part;
mod release;
mod repair;
mod secrets;
mod source;
mod sync;
mod wait;

pub use checks::{NeededPermission, needed_permissions};
pub use wait::{Awaited, Wait};

use crate::plan::{Planned, Planner};
use bootstrapper_core::failure::Result;
use bootstrapper_gitops::pipeline::StepKind;

/// A kind of step, combined with a cluster's declaration.
pub(crate) trait Kind {
    /// Plans such a step for this cluster.
    fn plan(&self, planner: &Planner<'_>) -> Result<Planned>;
}

/// The table of kinds.
pub(crate) fn kind(kind: &StepKind) -> &dyn Kind {
    match kind {
        StepKind::Checks(spec) => spec,
        StepKind::Namespaces(spec) => spec,
        StepKind::Secrets(spec) => spec,
        StepKind::Objects(spec) => spec,
        StepKind::Kustomization(spec) => spec,
        StepKind::Part(spec) => spec,
        StepKind::Manifest(spec) => spec,
        StepKind::Crds(spec) => spec,
        StepKind::Release(spec) => spec,
        StepKind::Wait(spec) => spec,
        StepKind::Repair(spec) => spec,
        StepKind::Source(spec) => spec,
        StepKind::Sync(spec) => spec,
        StepKind::Adoption(spec) => spec,
        StepKind::Handover(spec) => spec,
        StepKind::Command(spec) => spec,
    }
}
