//! A plan, ready to run: stages and steps in the order that they depend on each other.

use std::sync::Arc;

use super::{Limits, Step, StepId};

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
    /// How long it may take.
    pub limits: Limits,
    /// The digest of what it is to bring about, if that is known beforehand; secrets have no part in it.
    pub digest: Option<String>,
    /// Why it is not to run; none if it is.
    pub skip: Option<String>,
    /// What it does.
    pub step: Arc<dyn Step>,
}
