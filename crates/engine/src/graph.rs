//! A plan, ready to run: stages and steps in dependency order.

use std::sync::Arc;

use super::{Limits, Step, StepId, Undo};
use bootstrapper_core::failure::Failure;

/// A plan, ready to run.
#[derive(Clone, Default)]
pub struct Graph {
    /// The stages, each after those that it needs.
    pub stages: Vec<Stage>,
}

/// A group of steps that starts when the stages that it needs have completed.
#[derive(Clone)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// The stages that must complete before it starts.
    pub needs: Vec<String>,
    /// Whether its steps run in parallel.
    pub parallel: bool,
    /// Its steps, in order.
    pub steps: Vec<PlannedStep>,
}

/// A step of a plan.
#[derive(Clone)]
pub struct PlannedStep {
    /// Its name in the plan.
    pub id: StepId,
    /// A short title.
    pub title: String,
    /// The reason why the pipeline contains it, if given.
    pub why: Option<String>,
    /// Its time limits.
    pub limits: Limits,
    /// The digest of its input, if known beforehand; without secrets.
    pub digest: Option<String>,
    /// What the step does.
    pub work: Work,
}

/// What a planned step does.
#[derive(Clone)]
pub enum Work {
    /// It runs.
    Step(Arc<dyn Step>),
    /// It is skipped: not selected, or not applicable to this cluster.
    Skipped {
        /// The reason.
        reason: String,
    },
    /// It cannot run: an input is unknown.
    Impossible {
        /// The unknown input, where it is used, and what to do.
        failure: Failure,
        /// Removes the objects of earlier runs.
        undo: Arc<dyn Undo>,
    },
}

impl PlannedStep {
    /// Why it is skipped, if it is.
    pub fn skip_reason(&self) -> Option<&str> {
        match &self.work {
            Work::Skipped { reason } => Some(reason),
            Work::Step(_) | Work::Impossible { .. } => None,
        }
    }

    /// Why it cannot run, if so.
    pub fn impossible(&self) -> Option<&Failure> {
        match &self.work {
            Work::Impossible { failure, .. } => Some(failure),
            Work::Step(_) | Work::Skipped { .. } => None,
        }
    }

    /// How to remove its objects; none if it is skipped.
    pub fn undo(&self) -> Option<Arc<dyn Undo>> {
        match &self.work {
            Work::Step(step) => Some(Arc::clone(step) as Arc<dyn Undo>),
            Work::Impossible { undo, .. } => Some(Arc::clone(undo)),
            Work::Skipped { .. } => None,
        }
    }
}

impl Graph {
    /// All steps, in plan order.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = &PlannedStep> {
        self.stages.iter().flat_map(|stage| &stage.steps)
    }
}
