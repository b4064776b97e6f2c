//! Runs a plan: order, parallelism, retry, deadlines, cancel. Knows nothing of Kubernetes.

mod event;
mod graph;
mod outcome;
mod step;

pub use event::{Event, EventKind, Events, StageOutline, StepOutline};
pub use graph::{Graph, PlannedStep, Stage};
pub use outcome::{RunSummary, StepOutcome};
pub use step::{Act, Cause, Change, ChangeKind, Changes, Diff, Observation, Step, StepId};
