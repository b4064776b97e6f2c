//! The track of one step, folded from its events.

use super::waits::Waits;
use super::{Phase, PhaseKind, Retry, StepTrack};
use bootstrapper_core::failure::Failure;
use bootstrapper_engine::{Cause, Event, EventKind, Observation, StepOutcome, StepOutline};

/// A step while it is recorded.
#[derive(Debug)]
pub(super) struct Track {
    record: StepTrack,
    waits: Waits,
    is_running: bool,
    causes: Vec<Cause>,
}

impl Track {
    pub(super) fn new(outline: &StepOutline) -> Self {
        let record = StepTrack {
            step: outline.id.to_string(),
            title: outline.title.clone(),
            outcome: "not started".to_owned(),
            summary: String::new(),
            start: None,
            seconds: 0.0,
            attempts: 0,
            phases: Vec::new(),
            waits: Vec::new(),
            retries: Vec::new(),
            notes: Vec::new(),
        };
        Self { record, waits: Waits::default(), is_running: false, causes: Vec::new() }
    }

    /// The step's name.
    pub(super) fn step(&self) -> &str {
        &self.record.step
    }

    /// Records an event of the step; `now` is its time by the wall clock.
    pub(super) fn record(&mut self, event: &Event, now: f64) {
        let start = *self.record.start.get_or_insert(now);
        let at = start + event.step_elapsed.as_secs_f64();
        self.record.attempts = self.record.attempts.max(event.attempt);
        match &event.kind {
            EventKind::StepStarted => {
                self.is_running = true;
                self.enter(PhaseKind::Compare, at, "");
            }
            EventKind::StepObserved { observation } => self.observed(observation, at),
            EventKind::StepSaid { message } => self.says(message),
            EventKind::StepActed { changes } => {
                self.says(&changes.summary);
                self.enter(PhaseKind::Wait, at, "");
            }
            EventKind::StepWaiting { reasons, .. } => self.waits.replace(reasons, at),
            EventKind::StepExplained { causes } => self.causes.clone_from(causes),
            EventKind::AttemptFailed { failure, next_in } => {
                let reason = failure.to_string();
                self.waits.replace(&[], at);
                self.enter(PhaseKind::Retry, at, &reason);
                let pause = next_in.as_secs_f64();
                self.record.retries.push(Retry { attempt: event.attempt, at, reason, pause });
            }
            EventKind::StepFinished { outcome, failure, causes } => {
                if self.is_running {
                    self.advance(at);
                    self.waits.replace(&[], at);
                } else {
                    self.record.start = None;
                }
                self.is_running = false;
                self.ends(outcome, failure.as_ref());
                self.causes.clone_from(causes);
            }
            EventKind::RunStarted { .. } | EventKind::CancelRequested | EventKind::RunFinished { .. } => {}
        }
    }

    /// The outcome, which may be another at the end of the run than at the end of the step.
    pub(super) fn ends(&mut self, outcome: &StepOutcome, failure: Option<&Failure>) {
        outcome.name().clone_into(&mut self.record.outcome);
        let (summary, details) = match outcome {
            StepOutcome::Unchanged { summary }
            | StepOutcome::Changed { summary }
            | StepOutcome::Awaited { summary } => (summary.clone(), Vec::new()),
            StepOutcome::Warning { summary, details } => (summary.clone(), details.clone()),
            StepOutcome::Skipped { reason } => (reason.clone(), Vec::new()),
            StepOutcome::Failed | StepOutcome::NotStarted => match failure {
                Some(failure) => (failure.what.clone(), said(failure)),
                None => return,
            },
        };
        self.record.summary = summary;
        self.record.notes = details;
    }

    /// The track until `now`, for a run that may have been aborted.
    pub(super) fn finished(&self, now: f64) -> StepTrack {
        let mut track = self.record.clone();
        let mut end = track.start.map_or(0.0, |start| start + track.seconds);
        if self.is_running {
            "running".clone_into(&mut track.outcome);
            end = now.max(end);
            extend(&mut track, end);
        }
        track.phases.retain(|phase| phase.seconds > 0.0);
        track.waits = self.waits.all(end);
        track.notes.extend(self.causes.iter().flat_map(because));
        track
    }

    fn observed(&mut self, observation: &Observation, at: f64) {
        // Its pause has ended meanwhile.
        let pause = self.record.retries.last().map(|retry| retry.at + retry.pause);
        let is_pausing = self.record.phases.last().is_some_and(|phase| phase.kind == PhaseKind::Retry);
        if let Some(end) = pause.filter(|_| is_pausing) {
            self.enter(PhaseKind::Compare, end.min(at), "");
        }
        let next = match observation {
            Observation::Missing(_) | Observation::Drifted(_) => PhaseKind::Apply,
            Observation::Satisfied { .. } | Observation::Awaited { .. } | Observation::Blocked { .. } => {
                PhaseKind::Wait
            }
        };
        self.enter(next, at, "");
    }

    fn says(&mut self, message: &str) {
        if let Some(phase) = self.record.phases.last_mut() {
            message.clone_into(&mut phase.text);
        }
    }

    /// The present phase ends, unless it is the same.
    fn enter(&mut self, kind: PhaseKind, at: f64, text: &str) {
        self.advance(at);
        if self.record.phases.last().is_none_or(|phase| phase.kind != kind) {
            self.record.phases.push(Phase { kind, start: at, seconds: 0.0, text: text.to_owned() });
        }
    }

    fn advance(&mut self, at: f64) {
        extend(&mut self.record, at);
    }
}

/// The step and its present phase last until `at`.
fn extend(track: &mut StepTrack, at: f64) {
    if let Some(start) = track.start {
        track.seconds = (at - start).max(track.seconds);
    }
    if let Some(phase) = track.phases.last_mut() {
        phase.seconds = (at - phase.start).max(phase.seconds);
    }
}

/// Why it failed, where, and what to do.
fn said(failure: &Failure) -> Vec<String> {
    let place = failure.location.iter().map(|location| format!("declared in {location}"));
    let hints = failure.hints.iter().map(|hint| format!("do: {hint}"));
    failure.because.iter().cloned().chain(place).chain(hints).collect()
}

/// A root cause: what, where, and what to do.
fn because(cause: &Cause) -> Vec<String> {
    let place = cause.declared_in.iter().map(|location| format!("declared in {location}"));
    let remedy = cause.remedy.iter().filter(|_| !cause.transient).map(|remedy| format!("do: {remedy}"));
    std::iter::once(crate::causes::headline(cause)).chain(place).chain(remedy).collect()
}
