//! Runs a plan: order, parallelism, retries, deadlines, cancellation. Independent of Kubernetes.

#![cfg_attr(not(test), deny(clippy::string_slice))]

mod attempt;
mod attempts;
mod backoff;
mod critical_path;
mod deadline;
#[cfg(test)]
mod due_tests;
mod event;
mod explaining;
mod gate;
mod graph;
mod options;
#[cfg(test)]
mod order_tests;
mod outcome;
mod run;
mod settling;
mod step;
#[cfg(test)]
mod tests;

pub use bootstrapper_core::cause::{Cause, are_same};
pub use deadline::Limits;
pub use event::{Event, EventKind, Events, StageOutline, StepOutline};
pub use gate::{Gate, OpenGate};
pub use graph::{Graph, PlannedStep, Stage, Work};
pub use options::RunOptions;
pub use outcome::{RunSummary, StepOutcome};
pub use run::{observe, run};
pub use step::{
    Act, Change, ChangeKind, Changes, Diff, Observation, Owned, Step, StepId, Stuck, Teardown, Undo,
};
