//! Runs one step: observe, act, settle, with retries until its deadline.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::attempts::Attempts;
use super::backoff::Backoff;
use super::deadline::Deadline;
use super::explaining::{Waiting, explain, keep_explaining};
use super::options::RunOptions;
use super::outcome::StepEnd;
use super::settling::{Settled, Wait};
use super::{Act, Changes, EventKind, Limits, Observation, Step, StepOutcome, Stuck};
use bootstrapper_core::failure::{Failure, FailureKind, Retry};

/// How long an in-flight action may continue after an interruption.
const UNTIL_SAFE: Duration = Duration::from_mins(1);

/// The minimum time between actions of a waiting step that is due again.
const BETWEEN_ACTS: Duration = Duration::from_secs(1);

/// What a step has changed so far, over all attempts.
#[derive(Default)]
struct Tally {
    summary: String,
    changed: usize,
    unchanged: usize,
    warnings: Vec<String>,
    acted: bool,
}

impl Tally {
    fn add(&mut self, changes: &Changes) {
        self.acted |= !changes.changes.is_empty() || !changes.warnings.is_empty();
        self.changed += changes.changes.len();
        self.unchanged = changes.unchanged;
        self.warnings.clone_from(&changes.warnings);
        self.summary.clone_from(&changes.summary);
    }

    /// The outcome, after an action.
    fn outcome(&self) -> StepOutcome {
        let summary = self.summary.clone();
        match self.warnings.as_slice() {
            [] => StepOutcome::Changed { summary },
            warnings => StepOutcome::Warning { summary, details: warnings.to_vec() },
        }
    }

    fn end(self, outcome: StepOutcome, failure: Option<Failure>) -> StepEnd {
        let Self { changed, unchanged, .. } = self;
        StepEnd { outcome, failure, changed, unchanged, remarked: None }
    }
}

/// A planned step while it runs.
pub(super) struct Running<'a> {
    pub(super) title: &'a str,
    pub(super) limits: Limits,
    pub(super) step: &'a dyn Step,
}

pub(super) async fn run_step(running: Running<'_>, options: &RunOptions, attempts: Attempts) -> StepEnd {
    let (waiting, watched) = watch::channel(Waiting::default());
    tokio::select! {
        end = run_to_its_end(&running, options, attempts, &waiting) => end,
        never = keep_explaining(running.step, watched) => match never {},
    }
}

async fn run_to_its_end(
    running: &Running<'_>,
    options: &RunOptions,
    mut attempts: Attempts,
    waiting: &watch::Sender<Waiting>,
) -> StepEnd {
    attempts.send(EventKind::StepStarted);
    let mut deadline = Deadline::new(running.limits);
    let mut backoff = Backoff::default();
    let mut tally = Tally::default();
    let failure = loop {
        attempts.begin();
        let failure = match attempt(running, options, &mut deadline, &attempts, &mut tally, waiting).await {
            Ok((plain, remarks)) => {
                let remarked = (!remarks.is_empty()).then(|| plain.clone());
                let outcome = plain.and_remarks(remarks);
                attempts.send(EventKind::StepFinished {
                    outcome: outcome.clone(),
                    failure: None,
                    causes: Vec::new(),
                });
                return StepEnd { remarked, ..tally.end(outcome, None) };
            }
            Err(failure) => failure,
        };
        let Some(pause) = backoff.pause(failure.retry) else { break failure };
        deadline.record_state(&failure.to_string());
        if Instant::now() + pause >= deadline.ends() {
            break failure.because(format!("still failing after {} attempts", attempts.attempt));
        }
        waiting.send_modify(|waiting| {
            waiting.attempts = Some(attempts.clone());
            waiting.failure = Some(failure.clone());
        });
        attempts.send(EventKind::AttemptFailed { failure, next_in: pause });
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = options.cancel.cancelled() => break cancelled(),
        }
    };
    let readiness = waiting.borrow().readiness.clone();
    let stuck = Stuck { failure: Some(&failure), readiness: readiness.as_ref(), is_last: true };
    let causes = explain(running.step, stuck).await;
    attempts.send(EventKind::StepFinished {
        outcome: StepOutcome::Failed,
        failure: Some(failure.clone()),
        causes,
    });
    tally.end(StepOutcome::Failed, Some(failure))
}

/// The outcome of an attempt, and the remarks of what is ready.
async fn attempt(
    running: &Running<'_>,
    options: &RunOptions,
    deadline: &mut Deadline,
    attempts: &Attempts,
    tally: &mut Tally,
    waiting: &watch::Sender<Waiting>,
) -> Result<(StepOutcome, Vec<String>), Failure> {
    let mut wait = Wait::new(running, attempts, &options.cancel, waiting);
    let mut is_again = false;
    loop {
        let began = Instant::now();
        let outcome = observe_and_act(running, options, deadline, attempts, tally, is_again).await?;
        is_again = true;
        match wait.settle(deadline).await? {
            Settled::Ready(readiness) => return Ok((outcome, readiness.remarks)),
            // A step that is always due must not overload the API server.
            Settled::Due => wait.pause_until(began + BETWEEN_ACTS, deadline).await?,
        }
    }
}

async fn observe_and_act(
    running: &Running<'_>,
    options: &RunOptions,
    deadline: &mut Deadline,
    attempts: &Attempts,
    tally: &mut Tally,
    is_again: bool,
) -> Result<StepOutcome, Failure> {
    let observation = tokio::select! {
        observation = timeout_at(deadline.ends(), running.step.observe()) => observation.map_err(|_| {
            Failure::new(FailureKind::Deadline, format!("{} could not be observed in time", running.title))
        })??,
        () = options.cancel.cancelled() => return Err(cancelled()),
    };
    attempts.send(EventKind::StepObserved { observation: observation.clone() });
    match &observation {
        Observation::Satisfied { summary, unchanged } => {
            tally.unchanged = *unchanged;
            let as_it_was = StepOutcome::Unchanged { summary: summary.clone() };
            Ok(if tally.acted { tally.outcome() } else { as_it_was })
        }
        Observation::Awaited { waits_for, progress } => {
            attempts.send(EventKind::StepWaiting { reasons: waits_for.clone(), progress: *progress });
            let awaited = StepOutcome::Awaited { summary: "ready".to_owned() };
            Ok(if tally.acted { tally.outcome() } else { awaited })
        }
        Observation::Blocked { by } => {
            let reasons = vec![by.as_str().into()];
            attempts.send(EventKind::StepWaiting { reasons, progress: None });
            Err(Failure::step(format!("{} is waiting for {by}", running.title)).retry(Retry::MayHelp))
        }
        Observation::Missing(_) | Observation::Drifted(_) => {
            let changes = act(running, options, deadline, attempts, &observation).await?;
            if is_again {
                // Repeating the same action is not progress.
                deadline.record_state(&changes.summary);
            } else {
                deadline.record_progress();
            }
            tally.add(&changes);
            attempts.send(EventKind::StepActed { changes });
            Ok(tally.outcome())
        }
    }
}

async fn act(
    running: &Running<'_>,
    options: &RunOptions,
    deadline: &Deadline,
    attempts: &Attempts,
    observed: &Observation,
) -> Result<Changes, Failure> {
    let say = |message: String| attempts.send(EventKind::StepSaid { message });
    options.gate.pass(&say).await?;
    // An interruption may have arrived meanwhile: start nothing more.
    if options.cancel.is_cancelled() {
        return Err(cancelled());
    }
    let act = Act {
        observed,
        force_conflicts: options.force_conflicts,
        strict: options.strict,
        say: &say,
        cancel: &options.cancel,
    };
    let mut acting = running.step.act(act);
    let (mut ends, mut is_cancelled) = (deadline.ends(), false);
    loop {
        tokio::select! {
            // A completed action counts, even past the deadline.
            biased;
            changes = &mut acting => return changes,
            failure = options.gate.lost() => return Err(failure),
            // Let an in-flight action finish safely, within a limit: a chart's hook may never finish. Then
            // its program is terminated, and Helm marks its release as failed.
            () = tokio::time::sleep_until(ends) => {
                let failure = if is_cancelled { cancelled() } else { deadline.failure(running.title) };
                return Err(failure.because("the operation did not finish and was stopped"));
            }
            () = options.cancel.cancelled(), if !is_cancelled => {
                is_cancelled = true;
                ends = ends.min(Instant::now() + UNTIL_SAFE);
                let seconds = (ends - Instant::now()).as_secs();
                say(format!("waiting up to {seconds} s for {} to finish; press Ctrl-C again to abort", running.title));
            }
        }
    }
}

pub(super) fn cancelled() -> Failure {
    Failure::new(FailureKind::Cancelled, "stopped on request")
}
