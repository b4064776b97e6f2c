//! The state of a run, folded from its events. Pure.

use std::time::Duration;

use jiff::Timestamp;

use super::Forecast;
use super::patience::Causes;
use bootstrapper_core::failure::Failure;
use bootstrapper_core::verdict::{Progress, Reason};
use bootstrapper_engine::{Cause, Event, EventKind, RunSummary, StepId, StepOutcome, StepOutline};

#[derive(Debug, Default)]
pub(super) struct Board {
    pub(super) headline: String,
    pub(super) stages: Vec<StageState>,
    pub(super) began: Option<Timestamp>,
    pub(super) cancelled: bool,
    pub(super) summary: Option<RunSummary>,
    pub(super) forecast: Forecast,
    /// Whether a step has changed anything: otherwise a run does not take as long as an earlier one.
    pub(super) has_acted: bool,
}

#[derive(Debug)]
pub(super) struct StageState {
    pub(super) name: String,
    pub(super) steps: Vec<StepState>,
}

#[derive(Debug)]
pub(super) struct StepState {
    pub(super) id: StepId,
    pub(super) title: String,
    /// Whether it will run; the rest are skipped.
    pub(super) is_planned: bool,
    pub(super) began: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
    /// Its current action or wait.
    pub(super) now: Vec<String>,
    /// The progress of its wait.
    pub(super) progress: Option<Progress>,
    pub(super) outcome: Option<StepOutcome>,
    pub(super) failure: Option<Failure>,
    /// Why it is still waiting.
    pub(super) causes: Causes,
    /// Why it failed.
    pub(super) failed_by: Vec<Cause>,
}

impl StepState {
    pub(super) fn runs(&self) -> bool {
        self.began.is_some() && self.outcome.is_none()
    }

    pub(super) fn failed(&self) -> bool {
        matches!(self.outcome, Some(StepOutcome::Failed))
    }
}

impl StageState {
    pub(super) fn failed(&self) -> bool {
        self.steps.iter().any(StepState::failed)
    }

    pub(super) fn finished(&self) -> bool {
        self.steps.iter().all(|step| step.outcome.is_some())
    }

    pub(super) fn started(&self) -> bool {
        self.steps.iter().any(|step| step.began.is_some())
    }

    /// From the start of its first step to the end of its last step, or to now.
    pub(super) fn elapsed(&self, now: Timestamp) -> Option<Duration> {
        let began = self.steps.iter().filter_map(|step| step.began).min()?;
        let last = self.steps.iter().filter_map(|step| step.ended).max();
        let ended = if self.steps.iter().any(StepState::runs) { now } else { last.unwrap_or(now) };
        Some(since(began, ended))
    }
}

/// Never negative: the wall clock may be set back during a run.
pub(super) fn since(began: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(began)).unwrap_or_default()
}

impl Board {
    pub(super) fn fold(&mut self, event: &Event) {
        match &event.kind {
            EventKind::RunStarted { headline, stages } => {
                self.headline.clone_from(headline);
                self.began = Some(event.at);
                self.stages = stages
                    .iter()
                    .map(|stage| StageState {
                        name: stage.name.clone(),
                        steps: stage.steps.iter().map(to_come).collect(),
                    })
                    .collect();
            }
            EventKind::CancelRequested => self.cancelled = true,
            EventKind::RunFinished { summary } => self.summary = Some(summary.clone()),
            kind => {
                self.has_acted |= matches!(kind, EventKind::StepActed { .. });
                let step = self
                    .stages
                    .iter_mut()
                    .flat_map(|stage| &mut stage.steps)
                    .find(|step| Some(&step.id) == event.step.as_ref());
                if let Some(step) = step {
                    step.fold(kind, event.at);
                }
            }
        }
    }
}

fn to_come(step: &StepOutline) -> StepState {
    StepState {
        id: step.id.clone(),
        title: step.title.clone(),
        is_planned: step.skip.is_none(),
        began: None,
        ended: None,
        now: Vec::new(),
        progress: None,
        outcome: None,
        failure: None,
        causes: Causes::default(),
        failed_by: Vec::new(),
    }
}

impl StepState {
    fn does(&mut self, now: String) {
        self.now = vec![now];
        self.progress = None;
    }

    fn fold(&mut self, kind: &EventKind, at: Timestamp) {
        match kind {
            EventKind::StepStarted => self.began = Some(at),
            EventKind::StepSaid { message } => self.does(message.clone()),
            EventKind::StepActed { changes } => self.does(changes.summary.clone()),
            EventKind::StepWaiting { reasons, progress } => {
                self.now = reasons.iter().map(Reason::to_string).collect();
                self.progress = *progress;
            }
            EventKind::StepExplained { causes } => self.causes.replace(causes, at),
            EventKind::AttemptFailed { failure, .. } => self.does(format!("retrying: {failure}")),
            EventKind::StepFinished { outcome, failure, causes } => {
                if self.began.is_some() {
                    self.ended = Some(at);
                }
                self.outcome = Some(outcome.clone());
                self.failure.clone_from(failure);
                self.failed_by.clone_from(causes);
            }
            _ => {}
        }
    }
}
