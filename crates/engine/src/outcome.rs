//! Outcomes of steps and runs.

use std::time::Duration;

use serde::Serialize;

use super::StepId;
use bootstrapper_core::failure::Failure;

/// The outcome of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum StepOutcome {
    /// Already as declared, and ready.
    Unchanged {
        /// What exists.
        summary: String,
    },
    /// Changed, and ready.
    Changed {
        /// What was changed.
        summary: String,
    },
    /// It only waited, successfully.
    Awaited {
        /// The condition that was met.
        summary: String,
    },
    /// Changed and ready, with a warning.
    Warning {
        /// What was changed.
        summary: String,
        /// What to check, each in a few words.
        details: Vec<String>,
    },
    /// Skipped: not selected, or not applicable to this cluster.
    Skipped {
        /// The reason.
        reason: String,
    },
    /// Failed.
    Failed,
    /// Never started, because an earlier step failed or the run was cancelled.
    NotStarted,
}

impl StepOutcome {
    /// The same outcome, with warnings added.
    pub(super) fn and_remarks(self, remarks: Vec<String>) -> Self {
        match self {
            same if remarks.is_empty() => same,
            Self::Warning { summary, mut details } => {
                details.extend(remarks);
                Self::Warning { summary, details }
            }
            Self::Unchanged { summary } | Self::Changed { summary } | Self::Awaited { summary } => {
                Self::Warning { summary, details: remarks }
            }
            same => same,
        }
    }

    /// The outcome in one word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unchanged { .. } => "unchanged",
            Self::Changed { .. } => "changed",
            Self::Awaited { .. } => "ready",
            Self::Warning { .. } => "done, with warnings",
            Self::Skipped { .. } => "skipped",
            Self::Failed => "failed",
            Self::NotStarted => "not started",
        }
    }

    /// Whether dependents of the step may start.
    pub fn unblocks_dependents(&self) -> bool {
        !matches!(self, Self::Failed | Self::NotStarted)
    }
}

/// The end of one step.
#[derive(Debug, Clone)]
pub(super) struct StepEnd {
    pub(super) outcome: StepOutcome,
    pub(super) failure: Option<Failure>,
    pub(super) changed: usize,
    pub(super) unchanged: usize,
    /// The outcome without the remarks of what is ready, if there are any: by the end of the run they may be
    /// void.
    pub(super) remarked: Option<StepOutcome>,
}

impl StepEnd {
    pub(super) fn without_changes(outcome: StepOutcome) -> Self {
        Self { outcome, failure: None, changed: 0, unchanged: 0, remarked: None }
    }
}

/// The outcome of a run.
#[derive(Debug, Clone, Serialize)]
pub struct RunSummary {
    /// Every step and its outcome, in plan order.
    pub steps: Vec<(StepId, StepOutcome)>,
    /// The failures of steps, in plan order.
    pub failures: Vec<Failure>,
    /// The number of objects that were created, configured or deleted.
    pub changed: usize,
    /// The number of objects that were as declared.
    pub unchanged: usize,
    /// Wall-clock time.
    pub elapsed: Duration,
    /// The duration of each step that ran, in plan order.
    pub took: Vec<(StepId, Duration)>,
    /// The critical path, first to last.
    pub critical_path: Vec<(StepId, Duration)>,
}

impl RunSummary {
    /// Whether nothing failed, and nothing was skipped because of a failure.
    pub fn succeeded(&self) -> bool {
        self.open() == 0
    }

    /// How many steps failed, or never started.
    pub fn open(&self) -> usize {
        self.steps.iter().filter(|(_, outcome)| !outcome.unblocks_dependents()).count()
    }

    /// How many steps were skipped.
    pub fn skipped(&self) -> usize {
        self.steps.iter().filter(|(_, outcome)| matches!(outcome, StepOutcome::Skipped { .. })).count()
    }

    /// How many steps were to be done: those that were not skipped.
    pub fn planned(&self) -> usize {
        self.steps.len() - self.skipped()
    }
}
