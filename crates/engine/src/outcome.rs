//! How steps and runs end.

use std::time::Duration;

use serde::Serialize;

use super::StepId;
use bootstrapper_core::failure::Failure;

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum StepOutcome {
    /// It was as declared already, and ready.
    Unchanged {
        /// What stands.
        summary: String,
    },
    /// It was made so.
    Changed {
        /// What was done.
        summary: String,
    },
    /// It only watched, until what it waited for came true.
    Awaited {
        /// What came true.
        summary: String,
    },
    /// It was made so, but a person should look at something.
    Warning {
        /// What was done.
        summary: String,
        /// What to look at, each in a few words.
        details: Vec<String>,
    },
    /// It was not selected, or does not apply to this cluster.
    Skipped {
        /// Why.
        reason: String,
    },
    /// It failed.
    Failed,
    /// It was never started, because something before it failed or the run was cancelled.
    NotStarted,
}

impl StepOutcome {
    /// The same, with what a person should know besides.
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

    /// How it ended, in a word.
    pub fn word(&self) -> &'static str {
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

    /// Whether what depends on the step may start.
    pub fn lets_others_start(&self) -> bool {
        !matches!(self, Self::Failed | Self::NotStarted)
    }
}

/// How one step ended, as the run keeps it.
#[derive(Debug, Clone)]
pub(super) struct StepEnd {
    pub(super) outcome: StepOutcome,
    pub(super) failure: Option<Failure>,
    pub(super) changed: usize,
    pub(super) unchanged: usize,
}

impl StepEnd {
    pub(super) fn without_changes(outcome: StepOutcome) -> Self {
        Self { outcome, failure: None, changed: 0, unchanged: 0 }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Serialize)]
pub struct RunSummary {
    /// Every step and how it ended, in plan order.
    pub steps: Vec<(StepId, StepOutcome)>,
    /// What made steps fail, in plan order.
    pub failures: Vec<Failure>,
    /// How many objects were created, configured or deleted.
    pub changed: usize,
    /// How many objects were as declared.
    pub unchanged: usize,
    /// Wall-clock time.
    pub elapsed: Duration,
    /// How long each step took that ran, in plan order.
    pub took: Vec<(StepId, Duration)>,
    /// The chain of steps that decided the wall-clock time, first to last.
    pub critical_path: Vec<(StepId, Duration)>,
}

impl RunSummary {
    /// Whether nothing failed and nothing was left out because of a failure.
    pub fn succeeded(&self) -> bool {
        self.steps.iter().all(|(_, outcome)| outcome.lets_others_start())
    }
}
