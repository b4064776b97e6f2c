//! The engine with scripted steps, on a paused clock.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use tokio_util::sync::CancellationToken;

use super::*;
use bootstrapper_core::failure::{Failure, FailureKind, Result, Retry};
use bootstrapper_core::verdict::{Readiness, Verdict};

type Log = Arc<Mutex<Vec<String>>>;

/// A step that fails `failures` times, then acts, then yields its verdicts.
struct Scripted {
    name: &'static str,
    log: Log,
    failures: AtomicU32,
    retry: Retry,
    verdicts: Vec<Verdict>,
    acted: AtomicU32,
    settled: AtomicU32,
}

#[async_trait]
impl Undo for Scripted {
    async fn owned(&self) -> Result<Owned> {
        Ok(Owned::default())
    }

    async fn teardown(&self, _: &Teardown<'_>) -> Result<Changes> {
        Ok(Changes::default())
    }
}

#[async_trait]
impl Step for Scripted {
    async fn observe(&self) -> Result<Observation> {
        if self.acted.load(Ordering::SeqCst) > 0 {
            return Ok(Observation::Satisfied { summary: "there".into(), unchanged: 1 });
        }
        Ok(Observation::Missing(Diff::default()))
    }

    async fn act(&self, _: Act<'_>) -> Result<Changes> {
        if self.failures.load(Ordering::SeqCst) > 0 {
            self.failures.fetch_sub(1, Ordering::SeqCst);
            return Err(Failure::step("refused").retry(self.retry));
        }
        self.acted.fetch_add(1, Ordering::SeqCst);
        self.log.lock().unwrap().push(self.name.into());
        let change = Change { kind: ChangeKind::Created, subject: self.name.into(), details: vec![] };
        Ok(Changes { summary: "made".into(), changes: vec![change], unchanged: 0, warnings: Vec::new() })
    }

    fn settle(&self) -> BoxStream<'_, Result<Readiness>> {
        let is_first = self.settled.fetch_add(1, Ordering::SeqCst) == 0;
        let is_remarkable = self.name == "remarkable" || (self.name == "remarkable at first" && is_first);
        let remarks = if is_remarkable { vec!["it was slow".into()] } else { Vec::new() };
        let item = move |verdict: Verdict| Readiness { remarks: remarks.clone(), ..verdict.into() };
        stream::iter(self.verdicts.clone())
            .map(move |verdict| Ok(item(verdict)))
            .chain(stream::pending())
            .boxed()
    }

    async fn explain(&self, stuck: Stuck<'_>) -> Vec<Cause> {
        let said = stuck.failure.map_or("it waits", |failure| failure.what.as_str());
        let cause = Cause {
            code: None,
            cause: said.to_owned(),
            evidence: vec![],
            chain: vec![],
            blocks: vec![],
            origins: vec![],
            declared_in: None,
            remedy: vec![],
            transient: false,
        };
        vec![cause]
    }
}

struct Script {
    log: Log,
    stages: Vec<Stage>,
}

impl Script {
    fn new() -> Self {
        Self { log: Log::default(), stages: Vec::new() }
    }

    fn stage(mut self, name: &str, needs: &[&str], parallel: bool) -> Self {
        let needs = needs.iter().map(ToString::to_string).collect();
        self.stages.push(Stage { name: name.into(), needs, parallel, steps: Vec::new() });
        self
    }

    fn step(self, name: &'static str) -> Self {
        self.failing(name, 0, Retry::Useless, vec![Verdict::Ready])
    }

    fn failing(mut self, name: &'static str, failures: u32, retry: Retry, verdicts: Vec<Verdict>) -> Self {
        let log = Arc::clone(&self.log);
        let failures = AtomicU32::new(failures);
        let step = Scripted {
            name,
            log,
            failures,
            retry,
            verdicts,
            acted: AtomicU32::new(0),
            settled: AtomicU32::new(0),
        };
        let stage = self.stages.last_mut().unwrap();
        stage.steps.push(PlannedStep {
            id: StepId { stage: stage.name.clone(), name: name.into() },
            title: name.into(),
            limits: Limits { timeout: Duration::from_mins(1), inactivity: Duration::from_mins(1) },
            why: None,
            digest: None,
            work: Work::Step(Arc::new(step)),
        });
        self
    }

    async fn run(self, options: RunOptions) -> (RunSummary, Vec<String>, Vec<Event>) {
        let (events, mut received) = Events::channel();
        let summary = run(&Graph { stages: self.stages }, &options, &events).await;
        drop(events);
        let mut told = Vec::new();
        while let Some(event) = received.recv().await {
            told.push(event);
        }
        let log = self.log.lock().unwrap().clone();
        (summary, log, told)
    }
}

fn ungated() -> RunOptions {
    RunOptions {
        gate: Arc::new(OpenGate),
        strict: false,
        force_conflicts: false,
        cancel: CancellationToken::new(),
        headline: String::new(),
    }
}

fn failure_kinds(told: &[Event]) -> Vec<FailureKind> {
    told.iter()
        .filter_map(|event| match &event.kind {
            EventKind::StepFinished { failure: Some(failure), .. } => Some(failure.kind),
            _ => None,
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn stages_run_after_what_they_need() {
    let script = Script::new()
        .stage("late", &["early"], false)
        .step("c")
        .stage("early", &[], false)
        .step("a")
        .step("b");
    let (summary, log, _) = script.run(ungated()).await;
    assert!(summary.succeeded());
    assert_eq!(log, ["a", "b", "c"]);
    assert_eq!(summary.changed, 3);
}

#[tokio::test(start_paused = true)]
async fn a_retryable_failure_is_retried_and_reported() {
    let script = Script::new().stage("s", &[], false).failing("a", 3, Retry::MayHelp, vec![Verdict::Ready]);
    let (summary, _, told) = script.run(ungated()).await;
    assert!(summary.succeeded());
    assert_eq!(told.iter().filter(|event| matches!(event.kind, EventKind::AttemptFailed { .. })).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_stops_at_once_and_what_depends_on_it_never_starts() {
    let script = Script::new()
        .stage("s", &[], false)
        .failing("a", 1, Retry::Useless, vec![Verdict::Ready])
        .step("b")
        .stage("t", &["s"], true)
        .step("c");
    let (summary, log, told) = script.run(ungated()).await;
    let outcomes: Vec<_> = summary.steps.iter().map(|(_, outcome)| outcome.clone()).collect();
    assert_eq!(outcomes, [StepOutcome::Failed, StepOutcome::NotStarted, StepOutcome::NotStarted]);
    assert!(log.is_empty());
    assert_eq!(failure_kinds(&told), [FailureKind::Step]);
}

#[tokio::test(start_paused = true)]
async fn never_ends_the_wait_and_not_yet_ends_at_the_deadline() {
    let verdicts = vec![Verdict::not_yet("pulling"), Verdict::never("no such image")];
    let (summary, _, told) =
        Script::new().stage("s", &[], false).failing("a", 0, Retry::Useless, verdicts).run(ungated()).await;
    assert!(!summary.succeeded());
    assert_eq!(failure_kinds(&told), [FailureKind::Step]);

    let verdicts = vec![Verdict::not_yet("pulling")];
    let (summary, _, told) =
        Script::new().stage("s", &[], false).failing("a", 0, Retry::Useless, verdicts).run(ungated()).await;
    assert_eq!(summary.elapsed, Duration::from_mins(1));
    assert_eq!(failure_kinds(&told), [FailureKind::Deadline]);
}

#[tokio::test(start_paused = true)]
async fn cancel_interrupts_a_wait_and_starts_nothing_more() {
    let options = ungated();
    let cancel = options.cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        cancel.cancel();
    });
    let script = Script::new()
        .stage("s", &[], false)
        .failing("a", 0, Retry::Useless, vec![Verdict::not_yet("slow")])
        .step("b");
    let (summary, log, told) = script.run(options).await;
    assert_eq!(log, ["a"]);
    assert_eq!(summary.elapsed, Duration::from_secs(5));
    assert_eq!(failure_kinds(&told), [FailureKind::Cancelled]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_explained_meanwhile_and_each_cause_is_reported_once() {
    let script = Script::new().stage("s", &[], false).failing(
        "waits",
        0,
        Retry::Useless,
        vec![Verdict::not_yet("its pods")],
    );
    let (_, _, told) = script.run(ungated()).await;
    let explained: Vec<&str> = told
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::StepExplained { causes } => Some(causes[0].cause.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(explained, ["it waits"]);
    // The final diagnosis explains the failure: the deadline.
    let at_last = told.iter().find_map(|event| match &event.kind {
        EventKind::StepFinished { causes, .. } => causes.first(),
        _ => None,
    });
    assert!(at_last.unwrap().cause.contains("is not ready after"), "{at_last:?}");
}

/// A lock that is lost as soon as it is used.
struct LostGate;

#[async_trait]
impl Gate for LostGate {
    async fn pass(&self, _: &(dyn Fn(String) + Send + Sync)) -> Result<()> {
        Ok(())
    }

    async fn lost(&self) -> Failure {
        Failure::new(FailureKind::Locked, "lost")
    }
}

/// An action that never ends.
struct Endless;

#[async_trait]
impl Undo for Endless {
    async fn owned(&self) -> Result<Owned> {
        Ok(Owned::default())
    }

    async fn teardown(&self, _: &Teardown<'_>) -> Result<Changes> {
        Ok(Changes::default())
    }
}

#[async_trait]
impl Step for Endless {
    async fn observe(&self) -> Result<Observation> {
        Ok(Observation::Missing(Diff::default()))
    }

    async fn act(&self, _: Act<'_>) -> Result<Changes> {
        std::future::pending().await
    }

    fn settle(&self) -> BoxStream<'_, Result<Readiness>> {
        stream::pending().boxed()
    }

    async fn explain(&self, _: Stuck<'_>) -> Vec<Cause> {
        Vec::new()
    }
}

#[tokio::test(start_paused = true)]
async fn an_act_in_flight_is_cut_short_when_the_right_to_write_is_lost() {
    let mut script = Script::new().stage("s", &[], false).step("a");
    script.stages[0].steps[0].work = Work::Step(Arc::new(Endless));
    let (summary, _, told) = script.run(RunOptions { gate: Arc::new(LostGate), ..ungated() }).await;
    assert!(!summary.succeeded());
    assert_eq!(failure_kinds(&told), [FailureKind::Locked]);
}

/// As Helm with a hook that never ends.
#[tokio::test(start_paused = true)]
async fn an_act_that_never_ends_is_stopped_when_nothing_has_changed_for_long() {
    let mut script = Script::new().stage("s", &[], false).step("a");
    let step = &mut script.stages[0].steps[0];
    step.limits = Limits { timeout: Duration::from_mins(10), inactivity: Duration::from_mins(2) };
    step.work = Work::Step(Arc::new(Endless));
    let (summary, _, told) = script.run(ungated()).await;
    assert_eq!(summary.elapsed, Duration::from_mins(2));
    assert_eq!(failure_kinds(&told), [FailureKind::Deadline]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_to_stop_says_what_it_waits_for_and_how_long_at_most() {
    let options = ungated();
    let cancel = options.cancel.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        cancel.cancel();
    });
    let mut script = Script::new().stage("s", &[], false).step("a");
    let step = &mut script.stages[0].steps[0];
    step.limits = Limits { timeout: Duration::from_mins(10), inactivity: Duration::from_mins(10) };
    step.work = Work::Step(Arc::new(Endless));
    let (summary, _, told) = script.run(options).await;
    assert_eq!(summary.elapsed, Duration::from_secs(65));
    assert_eq!(failure_kinds(&told), [FailureKind::Cancelled]);
    let says = |event: &Event| matches!(&event.kind, EventKind::StepSaid { message } if message.contains("waiting up to 60 s for a to finish"));
    assert!(told.iter().any(says));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cancelled_before_its_first_act_does_nothing() {
    let options = ungated();
    options.cancel.cancel();
    let (summary, log, _) = Script::new().stage("s", &[], false).step("a").run(options).await;
    assert!(!summary.succeeded());
    assert!(log.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_wait_in_which_nothing_changes_ends_before_the_deadline() {
    let mut script = Script::new().stage("s", &[], false).failing(
        "a",
        0,
        Retry::Useless,
        vec![Verdict::not_yet("pulling"), Verdict::not_yet("starting")],
    );
    let limits = Limits { timeout: Duration::from_mins(10), inactivity: Duration::from_mins(2) };
    script.stages[0].steps[0].limits = limits;
    let (summary, _, told) = script.run(ungated()).await;
    assert_eq!(summary.elapsed, Duration::from_mins(2));
    assert_eq!(failure_kinds(&told), [FailureKind::Deadline]);
}

#[tokio::test(start_paused = true)]
async fn what_a_person_should_know_is_a_warning_though_it_is_ready() {
    let script = Script::new().stage("a", &[], false);
    let script = script.step("plain").step("remarkable at first").step("remarkable");
    let (summary, ..) = script.run(ungated()).await;
    let outcomes: Vec<_> = summary.steps.iter().map(|(_, outcome)| outcome.clone()).collect();
    let (summary, details) = ("made".to_owned(), vec!["it was slow".to_owned()]);
    let plain = StepOutcome::Changed { summary: summary.clone() };
    // What has settled by the end of the run is no warning any more.
    assert_eq!(outcomes, [plain.clone(), plain, StepOutcome::Warning { summary, details }]);
}
