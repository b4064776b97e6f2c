//! Runs one step: observe, act, settle, with retries until its deadline.

use std::time::Duration;

use futures::StreamExt;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::explaining::{Waiting, explain, keep_explaining};
use super::patience::Patience;
use super::run::{RunOptions, StepEnd};
use super::{Act, Changes, Event, EventKind, Events, Observation, PlannedStep, StepId, StepOutcome};
use bootstrapper_core::failure::{Failure, FailureKind, Retry};
use bootstrapper_core::verdict::Verdict;

/// How long what is being written may go on once the run is to stop.
const UNTIL_SAFE: Duration = Duration::from_mins(1);

/// The clocks and the voice of one step.
#[derive(Clone)]
pub(super) struct Attempts {
    id: StepId,
    events: Events,
    attempt: u32,
    step_began: Instant,
    attempt_began: Instant,
}

impl Attempts {
    pub(super) fn new(id: StepId, events: Events) -> Self {
        let now = Instant::now();
        Self { id, events, attempt: 0, step_began: now, attempt_began: now }
    }

    fn begin(&mut self) {
        self.attempt += 1;
        self.attempt_began = Instant::now();
    }

    pub(super) fn tell(&self, kind: EventKind) {
        self.events.send(Event {
            at: jiff::Timestamp::now(),
            step: Some(self.id.clone()),
            attempt: self.attempt,
            step_elapsed: self.step_began.elapsed(),
            attempt_elapsed: self.attempt_began.elapsed(),
            kind,
        });
    }
}

/// What a step has changed so far, over all its attempts.
#[derive(Default)]
struct Progress {
    summary: String,
    changed: usize,
    unchanged: usize,
    warnings: Vec<String>,
    acted: bool,
}

impl Progress {
    fn add(&mut self, changes: &Changes) {
        self.acted |= !changes.changes.is_empty() || !changes.warnings.is_empty();
        self.changed += changes.changes.len();
        self.unchanged = changes.unchanged;
        self.warnings.clone_from(&changes.warnings);
        self.summary.clone_from(&changes.summary);
    }

    /// How it ended, once something was done.
    fn outcome(&self) -> StepOutcome {
        let summary = self.summary.clone();
        match self.warnings.as_slice() {
            [] => StepOutcome::Changed { summary },
            warnings => StepOutcome::Warning { summary, details: warnings.to_vec() },
        }
    }

    fn end(self, outcome: StepOutcome, failure: Option<Failure>) -> StepEnd {
        StepEnd { outcome, failure, changed: self.changed, unchanged: self.unchanged }
    }
}

pub(super) async fn run_step(step: &PlannedStep, options: &RunOptions, attempts: Attempts) -> StepEnd {
    let (waiting, watched) = watch::channel(Waiting::default());
    tokio::select! {
        end = run_to_its_end(step, options, attempts, &waiting) => end,
        never = keep_explaining(step, watched) => match never {},
    }
}

async fn run_to_its_end(
    step: &PlannedStep,
    options: &RunOptions,
    mut attempts: Attempts,
    waiting: &watch::Sender<Waiting>,
) -> StepEnd {
    attempts.tell(EventKind::StepStarted);
    let mut patience = Patience::new(step.limits);
    let mut backoff = Backoff::default();
    let mut progress = Progress::default();
    let failure = loop {
        attempts.begin();
        let failure = match attempt(step, options, &mut patience, &attempts, &mut progress, waiting).await {
            Ok(outcome) => {
                attempts.tell(EventKind::StepFinished {
                    outcome: outcome.clone(),
                    failure: None,
                    causes: Vec::new(),
                });
                return progress.end(outcome, None);
            }
            Err(failure) => failure,
        };
        let Some(pause) = backoff.pause(failure.retry) else { break failure };
        patience.sees(&failure.to_string());
        if Instant::now() + pause >= patience.ends() {
            break failure.because(format!("still so after {} attempts", attempts.attempt));
        }
        waiting.send_replace(Waiting { voice: Some(attempts.clone()), failure: Some(failure.clone()) });
        attempts.tell(EventKind::AttemptFailed { failure, next_in: pause });
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = options.cancel.cancelled() => break cancelled(),
        }
    };
    let causes = explain(step, Some(&failure)).await;
    attempts.tell(EventKind::StepFinished {
        outcome: StepOutcome::Failed,
        failure: Some(failure.clone()),
        causes,
    });
    progress.end(StepOutcome::Failed, Some(failure))
}

async fn attempt(
    step: &PlannedStep,
    options: &RunOptions,
    patience: &mut Patience,
    attempts: &Attempts,
    progress: &mut Progress,
    waiting: &watch::Sender<Waiting>,
) -> Result<StepOutcome, Failure> {
    let observation = tokio::select! {
        observation = timeout_at(patience.ends(), step.step.observe()) => observation.map_err(|_| {
            Failure::new(FailureKind::Deadline, format!("{} could not be looked at in time", step.title))
        })??,
        () = options.cancel.cancelled() => return Err(cancelled()),
    };
    attempts.tell(EventKind::StepObserved { observation: observation.clone() });
    let outcome = match &observation {
        Observation::Satisfied { summary, unchanged } => {
            progress.unchanged = *unchanged;
            if progress.acted {
                progress.outcome()
            } else {
                StepOutcome::Unchanged { summary: summary.clone() }
            }
        }
        Observation::Awaited { waits_for } => {
            attempts.tell(EventKind::StepWaiting { reasons: waits_for.clone() });
            StepOutcome::Awaited { summary: "ready".to_owned() }
        }
        Observation::Blocked { by } => {
            attempts.tell(EventKind::StepWaiting { reasons: vec![by.clone()] });
            return Err(Failure::step(format!("{} waits for {by}", step.title)).retry(Retry::MayHelp));
        }
        Observation::Missing(_) | Observation::Drifted(_) => {
            let changes = act(step, options, patience, attempts, &observation).await?;
            patience.moves();
            progress.add(&changes);
            attempts.tell(EventKind::StepActed { changes });
            progress.outcome()
        }
    };
    settle(step, patience, attempts, &options.cancel, waiting).await?;
    Ok(outcome.and_remarks(step.step.remarks()))
}

async fn act(
    step: &PlannedStep,
    options: &RunOptions,
    patience: &Patience,
    attempts: &Attempts,
    observed: &Observation,
) -> Result<Changes, Failure> {
    let say = |message: String| attempts.tell(EventKind::StepSaid { message });
    options.gate.pass(&say).await?;
    // What was asked for meanwhile counts: nothing more is begun.
    if options.cancel.is_cancelled() {
        return Err(cancelled());
    }
    let act = Act { observed, force_conflicts: options.force_conflicts, strict: options.strict, say: &say };
    let mut acting = step.step.act(act);
    let (mut ends, mut is_cancelled) = (patience.ends(), false);
    loop {
        tokio::select! {
            // What is done is done, though its time is over.
            biased;
            changes = &mut acting => return changes,
            failure = options.gate.lost() => return Err(failure),
            // What is being written comes to a safe end, if it comes to one: a hook of a chart may
            // never do. A program is then asked to end, and Helm marks its release as failed.
            () = tokio::time::sleep_until(ends) => {
                let failure = if is_cancelled { cancelled() } else { patience.failure(&step.title) };
                return Err(failure.because("what it does had not ended, and was stopped"));
            }
            () = options.cancel.cancelled(), if !is_cancelled => {
                is_cancelled = true;
                ends = ends.min(Instant::now() + UNTIL_SAFE);
                let seconds = (ends - Instant::now()).as_secs();
                say(format!("waiting for {} to end, {seconds} s at most; Ctrl-C again stops it now", step.title));
            }
        }
    }
}

async fn settle(
    step: &PlannedStep,
    patience: &mut Patience,
    attempts: &Attempts,
    cancel: &CancellationToken,
    waiting: &watch::Sender<Waiting>,
) -> Result<(), Failure> {
    let mut verdicts = step.step.settle();
    let mut waits_for: Vec<String> = Vec::new();
    loop {
        let verdict = tokio::select! {
            // What is ready is ready, though somebody asked to stop meanwhile.
            biased;
            verdict = verdicts.next() => verdict,
            () = tokio::time::sleep_until(patience.ends()) => {
                return Err(waits_for.into_iter().fold(patience.failure(&step.title), Failure::because));
            }
            () = cancel.cancelled() => return Err(cancelled()),
        };
        let verdict = match verdict {
            Some(Err(failure)) if failure.retry != Retry::Useless => {
                Some(Verdict::not_yet(failure.to_string()))
            }
            told => told.transpose()?,
        };
        match verdict {
            Some(Verdict::Ready) => return Ok(()),
            Some(Verdict::NotYet(reasons)) => {
                patience.sees(&reasons);
                if reasons != waits_for {
                    attempts.tell(EventKind::StepWaiting { reasons: reasons.clone() });
                    waiting.send_replace(Waiting { voice: Some(attempts.clone()), failure: None });
                    waits_for = reasons;
                }
            }
            Some(Verdict::Never(reasons)) => {
                let failure = Failure::step(format!("{} will not become ready", step.title));
                return Err(reasons.into_iter().fold(failure, Failure::because));
            }
            None => {
                return Err(
                    Failure::internal(format!("the watch over {} ended", step.title)).retry(Retry::MayHelp)
                );
            }
        }
    }
}

fn cancelled() -> Failure {
    Failure::new(FailureKind::Cancelled, "stopped on request")
}
