//! Waits until a step is ready, can never be ready, or must act again.

use futures::StreamExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::EventKind;
use super::attempt::{Running, cancelled};
use super::attempts::Attempts;
use super::deadline::Deadline;
use super::explaining::Waiting;
use bootstrapper_core::failure::{Failure, Result, Retry};
use bootstrapper_core::verdict::{Progress, Readiness, Reason, Verdict};

/// How a successful wait ended.
pub(super) enum Settled {
    Ready(Readiness),
    /// The step must act again.
    Due,
}

/// The wait of one attempt, over all of its interruptions: sends the same reasons only once.
pub(super) struct Wait<'a> {
    running: &'a Running<'a>,
    attempts: &'a Attempts,
    cancel: &'a CancellationToken,
    waiting: &'a watch::Sender<Waiting>,
    reasons: Vec<Reason>,
    progress: Option<Progress>,
}

impl<'a> Wait<'a> {
    pub(super) fn new(
        running: &'a Running<'a>,
        attempts: &'a Attempts,
        cancel: &'a CancellationToken,
        waiting: &'a watch::Sender<Waiting>,
    ) -> Self {
        Self { running, attempts, cancel, waiting, reasons: Vec::new(), progress: None }
    }

    /// Waits until the step is ready or must act again.
    pub(super) async fn settle(&mut self, deadline: &mut Deadline) -> Result<Settled> {
        let mut items = self.running.step.settle();
        loop {
            let item = tokio::select! {
                // A ready step is ready, even if the run was cancelled meanwhile.
                biased;
                item = items.next() => item,
                () = sleep_until(deadline.ends()) => return Err(self.out_of_time(deadline)),
                () = self.cancel.cancelled() => return Err(cancelled()),
            };
            let readiness: Readiness = match item {
                Some(Ok(readiness)) => readiness,
                // Keep the last known state.
                Some(Err(failure)) if failure.retry != Retry::Useless => {
                    let observed = self.waiting.borrow().readiness.as_ref().map(|last| last.observed.clone());
                    let verdict = Verdict::not_yet(failure.to_string());
                    Readiness { observed: observed.unwrap_or_default(), ..verdict.into() }
                }
                Some(Err(failure)) => return Err(failure),
                None => {
                    let what = format!("the watch over {} ended", self.running.title);
                    return Err(Failure::internal(what).retry(Retry::MayHelp));
                }
            };
            match &readiness.verdict {
                Verdict::Ready => return Ok(Settled::Ready(readiness)),
                Verdict::NotYet(_) => {
                    let is_due = readiness.due;
                    self.note(readiness, deadline);
                    if is_due {
                        return Ok(Settled::Due);
                    }
                }
                Verdict::Never(facts) => {
                    let failure = Failure::step(format!("{} can never become ready", self.running.title));
                    let failure = facts.iter().fold(failure, Failure::because);
                    self.waiting.send_replace(Waiting::on(self.attempts.clone(), readiness));
                    return Err(failure);
                }
            }
        }
    }

    /// Sleeps until then.
    pub(super) async fn pause_until(&self, then: Instant, deadline: &Deadline) -> Result<()> {
        tokio::select! {
            () = sleep_until(then.min(deadline.ends())) => {}
            () = self.cancel.cancelled() => return Err(cancelled()),
        }
        if Instant::now() >= deadline.ends() { Err(self.out_of_time(deadline)) } else { Ok(()) }
    }

    /// Sends what is new about a step that is not ready yet.
    fn note(&mut self, readiness: Readiness, deadline: &mut Deadline) {
        let now = readiness.verdict.reasons();
        deadline.record_state(&(now, readiness.progress));
        if *now == *self.reasons && readiness.progress == self.progress {
            self.waiting.send_if_modified(|waiting| {
                // The same reasons with newer objects: nothing new.
                waiting.readiness = Some(readiness);
                false
            });
        } else {
            (self.reasons, self.progress) = (now.to_vec(), readiness.progress);
            let (reasons, progress) = (self.reasons.clone(), self.progress);
            self.attempts.send(EventKind::StepWaiting { reasons, progress });
            self.waiting.send_replace(Waiting::on(self.attempts.clone(), readiness));
        }
    }

    fn out_of_time(&self, deadline: &Deadline) -> Failure {
        self.reasons.iter().fold(deadline.failure(self.running.title), Failure::because)
    }
}
