//! A plan, ready to run: stages and steps in the order that they depend on each other.

use std::sync::Arc;

use super::{Limits, Step, StepId, Undo};
use bootstrapper_core::failure::Failure;

/// A plan, ready to run.
#[derive(Clone, Default)]
pub struct Graph {
    /// The stages, each after all that it needs.
    pub stages: Vec<Stage>,
}

/// A group of steps that starts when the stages it needs are done.
#[derive(Clone)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// The stages that must be done before it starts.
    pub needs: Vec<String>,
    /// Whether its steps run at once, instead of one after the other.
    pub parallel: bool,
    /// Its steps, in order.
    pub steps: Vec<PlannedStep>,
}

/// A step of a plan.
#[derive(Clone)]
pub struct PlannedStep {
    /// Its name in the plan.
    pub id: StepId,
    /// What it is about, in a few words.
    pub title: String,
    /// Why it is there, if that is said.
    pub why: Option<String>,
    /// How long it may take.
    pub limits: Limits,
    /// The digest of what it is to bring about, if that is known beforehand; secrets have no part in it.
    pub digest: Option<String>,
    /// What it comes to.
    pub work: Work,
}

/// What a planned step comes to.
#[derive(Clone)]
pub enum Work {
    /// It runs.
    Step(Arc<dyn Step>),
    /// It does not run: it was not selected, or does not apply to this cluster.
    Skipped {
        /// Why.
        reason: String,
    },
    /// It cannot run: something that it needs is not known.
    Impossible {
        /// What is not known, where that is used, and what to do.
        failure: Failure,
        /// Removes what an earlier run has made of it.
        undo: Arc<dyn Undo>,
    },
}

impl PlannedStep {
    /// Why it does not run, if it is skipped.
    pub fn skip_reason(&self) -> Option<&str> {
        match &self.work {
            Work::Skipped { reason } => Some(reason),
            Work::Step(_) | Work::Impossible { .. } => None,
        }
    }

    /// Why it cannot run, if it cannot.
    pub fn impossible(&self) -> Option<&Failure> {
        match &self.work {
            Work::Impossible { failure, .. } => Some(failure),
            Work::Step(_) | Work::Skipped { .. } => None,
        }
    }

    /// What removes what it has made; none if it is skipped.
    pub fn undo(&self) -> Option<Arc<dyn Undo>> {
        match &self.work {
            Work::Step(step) => Some(Arc::clone(step) as Arc<dyn Undo>),
            Work::Impossible { undo, .. } => Some(Arc::clone(undo)),
            Work::Skipped { .. } => None,
        }
    }
}

impl Graph {
    /// Every step, in plan order.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = &PlannedStep> {
        self.stages.iter().flat_map(|stage| &stage.steps)
    }
}
