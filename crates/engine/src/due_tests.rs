//! Steps that must act again while they wait, on a paused clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use tokio_util::sync::CancellationToken;

use super::*;
use bootstrapper_core::failure::{Failure, FailureKind, Result};
use bootstrapper_core::verdict::{Readiness, Verdict};

/// A step that is due until it has acted `acts` times. Its stream reports that immediately.
struct Recurring {
    acts: u32,
    acted: Arc<AtomicU32>,
    /// Whether acting while due succeeds.
    is_drifted: bool,
}

#[async_trait]
impl Undo for Recurring {
    async fn owned(&self) -> Result<Owned> {
        Ok(Owned::default())
    }

    async fn teardown(&self, _: &Teardown<'_>) -> Result<Changes> {
        Ok(Changes::default())
    }
}

#[async_trait]
impl Step for Recurring {
    async fn observe(&self) -> Result<Observation> {
        if self.is_drifted && self.acted.load(Ordering::SeqCst) < self.acts {
            return Ok(Observation::Drifted(Diff::default()));
        }
        Ok(Observation::Awaited { waits_for: vec!["an app".into()], progress: None })
    }

    async fn act(&self, _: Act<'_>) -> Result<Changes> {
        self.acted.fetch_add(1, Ordering::SeqCst);
        let change = Change { kind: ChangeKind::Configured, subject: "app".into(), details: vec![] };
        Ok(Changes { summary: "requested".into(), changes: vec![change], ..Changes::default() })
    }

    fn settle(&self) -> BoxStream<'_, Result<Readiness>> {
        let due = self.acted.load(Ordering::SeqCst) < self.acts;
        let verdict = if due { Verdict::not_yet("an app failed") } else { Verdict::Ready };
        let first = Readiness { due, ..verdict.into() };
        stream::iter([Ok(first)]).chain(stream::pending()).boxed()
    }

    async fn explain(&self, _: Stuck<'_>) -> Vec<Cause> {
        Vec::new()
    }
}

/// Counts calls, and permits the first few.
struct CountingGate {
    asked: AtomicU32,
    lets_pass: u32,
}

#[async_trait]
impl Gate for CountingGate {
    async fn pass(&self, _: &(dyn Fn(String) + Send + Sync)) -> Result<()> {
        if self.asked.fetch_add(1, Ordering::SeqCst) < self.lets_pass {
            return Ok(());
        }
        Err(Failure::new(FailureKind::Locked, "lost"))
    }
}

struct Ran {
    summary: RunSummary,
    events: Vec<Event>,
    acted: u32,
    asked: u32,
}

impl Ran {
    fn count(&self, is_it: impl Fn(&EventKind) -> bool) -> usize {
        self.events.iter().filter(|event| is_it(&event.kind)).count()
    }
}

async fn ran(acts: u32, is_drifted: bool, lets_pass: u32, limits: Limits, cancel: &CancellationToken) -> Ran {
    let acted = Arc::new(AtomicU32::new(0));
    let step = Recurring { acts, acted: Arc::clone(&acted), is_drifted };
    let planned = PlannedStep {
        id: StepId { stage: "s".into(), name: "a".into() },
        title: "a".into(),
        limits,
        why: None,
        digest: None,
        work: Work::Step(Arc::new(step)),
    };
    let stage = Stage { name: "s".into(), needs: vec![], parallel: false, steps: vec![planned] };
    let gate = Arc::new(CountingGate { asked: AtomicU32::new(0), lets_pass });
    let options = RunOptions {
        gate: gate.clone(),
        strict: false,
        force_conflicts: false,
        cancel: cancel.clone(),
        headline: String::new(),
    };
    let (sender, mut received) = Events::channel();
    let summary = run(&Graph { stages: vec![stage] }, &options, &sender).await;
    drop(sender);
    let mut events = Vec::new();
    while let Some(event) = received.recv().await {
        events.push(event);
    }
    let (acted, asked) = (acted.load(Ordering::SeqCst), gate.asked.load(Ordering::SeqCst));
    Ran { summary, events, acted, asked }
}

const LIMITS: Limits = Limits { timeout: Duration::from_mins(1), inactivity: Duration::from_mins(1) };

#[tokio::test(start_paused = true)]
async fn what_is_due_again_is_done_again_within_one_attempt_and_each_time_through_the_gate() {
    let ran = ran(3, true, u32::MAX, LIMITS, &CancellationToken::new()).await;
    assert!(ran.summary.succeeded());
    assert_eq!((ran.acted, ran.asked), (3, 3));
    assert_eq!(ran.summary.changed, 3);
    assert_eq!(ran.count(|kind| matches!(kind, EventKind::AttemptFailed { .. })), 0);
    assert!(ran.events.iter().all(|event| event.attempt <= 1));
    // The same reason is sent once.
    assert_eq!(ran.count(|kind| matches!(kind, EventKind::StepWaiting { .. })), 1);
    assert!(matches!(ran.summary.steps[0].1, StepOutcome::Changed { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_lost_lock_stops_it() {
    let ran = ran(9, true, 2, LIMITS, &CancellationToken::new()).await;
    assert_eq!((ran.acted, ran.asked), (2, 3));
    assert_eq!(ran.summary.failures[0].kind, FailureKind::Locked);
}

#[tokio::test(start_paused = true)]
async fn what_is_due_for_ever_is_done_once_a_second_and_ends_with_the_deadline() {
    let ran = ran(u32::MAX, true, u32::MAX, LIMITS, &CancellationToken::new()).await;
    assert_eq!(ran.summary.elapsed, Duration::from_mins(1));
    assert_eq!(ran.summary.failures[0].kind, FailureKind::Deadline);
    assert!((55..=61).contains(&ran.acted), "{}", ran.acted);
}

#[tokio::test(start_paused = true)]
async fn the_same_act_over_and_over_is_no_progress() {
    let limits = Limits { timeout: Duration::from_mins(10), inactivity: Duration::from_secs(20) };
    let ran = ran(u32::MAX, true, u32::MAX, limits, &CancellationToken::new()).await;
    assert!(ran.summary.elapsed < Duration::from_secs(25), "{:?}", ran.summary.elapsed);
    assert_eq!(ran.summary.failures[0].kind, FailureKind::Deadline);
}

#[tokio::test(start_paused = true)]
async fn what_is_due_and_cannot_be_done_does_not_spin() {
    let ran = ran(1, false, u32::MAX, LIMITS, &CancellationToken::new()).await;
    assert_eq!((ran.acted, ran.asked), (0, 0));
    let observed = ran.count(|kind| matches!(kind, EventKind::StepObserved { .. }));
    assert!((55..=61).contains(&observed), "{observed}");
}

#[tokio::test(start_paused = true)]
async fn cancel_interrupts_it() {
    let cancel = CancellationToken::new();
    let later = cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(5500)).await;
        later.cancel();
    });
    let ran = ran(u32::MAX, true, u32::MAX, LIMITS, &cancel).await;
    assert_eq!(ran.summary.elapsed, Duration::from_millis(5500));
    assert_eq!(ran.summary.failures[0].kind, FailureKind::Cancelled);
}
