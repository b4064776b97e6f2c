//! Runs one step: observe, act, settle, with retries until its deadline.

use std::time::Duration;

use futures::StreamExt;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::attempts::Attempts;
use super::backoff::Backoff;
use super::deadline::Deadline;
use super::explaining::{Waiting, explain, keep_explaining};
use super::options::RunOptions;
use super::outcome::StepEnd;
use super::{Act, Changes, EventKind, Limits, Observation, Step, StepOutcome, Stuck};
use bootstrapper_core::failure::{Failure, FailureKind, Retry};
use bootstrapper_core::verdict::{Progress, Readiness, Reason, Verdict};

/// How long what is being written may go on once the run is to stop.
const UNTIL_SAFE: Duration = Duration::from_mins(1);

/// What a step has changed so far, over all its attempts.
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

/// A planned step, as it runs.
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
    attempts.tell(EventKind::StepStarted);
    let mut deadline = Deadline::new(running.limits);
    let mut backoff = Backoff::default();
    let mut tally = Tally::default();
    let failure = loop {
        attempts.begin();
        let failure = match attempt(running, options, &mut deadline, &attempts, &mut tally, waiting).await {
            Ok(outcome) => {
                attempts.tell(EventKind::StepFinished {
                    outcome: outcome.clone(),
                    failure: None,
                    causes: Vec::new(),
                });
                return tally.end(outcome, None);
            }
            Err(failure) => failure,
        };
        let Some(pause) = backoff.pause(failure.retry) else { break failure };
        deadline.sees(&failure.to_string());
        if Instant::now() + pause >= deadline.ends() {
            break failure.because(format!("still failing after {} attempts", attempts.attempt));
        }
        waiting.send_modify(|waiting| {
            waiting.attempts = Some(attempts.clone());
            waiting.failure = Some(failure.clone());
        });
        attempts.tell(EventKind::AttemptFailed { failure, next_in: pause });
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = options.cancel.cancelled() => break cancelled(),
        }
    };
    let readiness = waiting.borrow().readiness.clone();
    let stuck = Stuck { failure: Some(&failure), readiness: readiness.as_ref() };
    let causes = explain(running.step, stuck).await;
    attempts.tell(EventKind::StepFinished {
        outcome: StepOutcome::Failed,
        failure: Some(failure.clone()),
        causes,
    });
    tally.end(StepOutcome::Failed, Some(failure))
}

async fn attempt(
    running: &Running<'_>,
    options: &RunOptions,
    deadline: &mut Deadline,
    attempts: &Attempts,
    tally: &mut Tally,
    waiting: &watch::Sender<Waiting>,
) -> Result<StepOutcome, Failure> {
    let observation = tokio::select! {
        observation = timeout_at(deadline.ends(), running.step.observe()) => observation.map_err(|_| {
            Failure::new(FailureKind::Deadline, format!("{} could not be observed in time", running.title))
        })??,
        () = options.cancel.cancelled() => return Err(cancelled()),
    };
    attempts.tell(EventKind::StepObserved { observation: observation.clone() });
    let outcome = match &observation {
        Observation::Satisfied { summary, unchanged } => {
            tally.unchanged = *unchanged;
            if tally.acted { tally.outcome() } else { StepOutcome::Unchanged { summary: summary.clone() } }
        }
        Observation::Awaited { waits_for, progress } => {
            attempts.tell(EventKind::StepWaiting { reasons: waits_for.clone(), progress: *progress });
            StepOutcome::Awaited { summary: "ready".to_owned() }
        }
        Observation::Blocked { by } => {
            let reasons = vec![by.as_str().into()];
            attempts.tell(EventKind::StepWaiting { reasons, progress: None });
            return Err(Failure::step(format!("{} is waiting for {by}", running.title)).retry(Retry::MayHelp));
        }
        Observation::Missing(_) | Observation::Drifted(_) => {
            let changes = act(running, options, deadline, attempts, &observation).await?;
            deadline.moves();
            tally.add(&changes);
            attempts.tell(EventKind::StepActed { changes });
            tally.outcome()
        }
    };
    let readiness = settle(running, deadline, attempts, &options.cancel, waiting).await?;
    Ok(outcome.and_remarks(readiness.remarks))
}

async fn act(
    running: &Running<'_>,
    options: &RunOptions,
    deadline: &Deadline,
    attempts: &Attempts,
    observed: &Observation,
) -> Result<Changes, Failure> {
    let say = |message: String| attempts.tell(EventKind::StepSaid { message });
    options.gate.pass(&say).await?;
    // What was asked for meanwhile counts: nothing more is begun.
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
            // What is done is done, though its time is over.
            biased;
            changes = &mut acting => return changes,
            failure = options.gate.lost() => return Err(failure),
            // What is being written comes to a safe end, if it comes to one: a hook of a chart may
            // never do. A program is then asked to end, and Helm marks its release as failed.
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

async fn settle(
    running: &Running<'_>,
    deadline: &mut Deadline,
    attempts: &Attempts,
    cancel: &CancellationToken,
    waiting: &watch::Sender<Waiting>,
) -> Result<Readiness, Failure> {
    let mut items = running.step.settle();
    let (mut reasons, mut progress): (Vec<Reason>, Option<Progress>) = (Vec::new(), None);
    loop {
        let item = tokio::select! {
            // What is ready is ready, though somebody asked to stop meanwhile.
            biased;
            item = items.next() => item,
            () = tokio::time::sleep_until(deadline.ends()) => {
                let failure = deadline.failure(running.title);
                return Err(reasons.iter().fold(failure, Failure::because));
            }
            () = cancel.cancelled() => return Err(cancelled()),
        };
        let readiness: Readiness = match item {
            Some(Ok(readiness)) => readiness,
            // What was seen before is still the best that is known.
            Some(Err(failure)) if failure.retry != Retry::Useless => {
                let observed = waiting.borrow().readiness.as_ref().map(|last| last.observed.clone());
                let verdict = Verdict::not_yet(failure.to_string());
                Readiness { observed: observed.unwrap_or_default(), ..verdict.into() }
            }
            Some(Err(failure)) => return Err(failure),
            None => {
                return Err(Failure::internal(format!("the watch over {} ended", running.title))
                    .retry(Retry::MayHelp));
            }
        };
        match &readiness.verdict {
            Verdict::Ready => return Ok(readiness),
            Verdict::NotYet(now) => {
                deadline.sees(&(now, readiness.progress));
                if *now == reasons && readiness.progress == progress {
                    waiting.send_if_modified(|waiting| {
                        // The same reasons: newer objects, and no news.
                        waiting.readiness = Some(readiness);
                        false
                    });
                } else {
                    (reasons, progress) = (now.clone(), readiness.progress);
                    attempts.tell(EventKind::StepWaiting { reasons: reasons.clone(), progress });
                    waiting.send_replace(Waiting::on(attempts.clone(), readiness));
                }
            }
            Verdict::Never(facts) => {
                let failure = Failure::step(format!("{} can never become ready", running.title));
                let failure = facts.iter().fold(failure, Failure::because);
                waiting.send_replace(Waiting::on(attempts.clone(), readiness));
                return Err(failure);
            }
        }
    }
}

fn cancelled() -> Failure {
    Failure::new(FailureKind::Cancelled, "stopped on request")
}
