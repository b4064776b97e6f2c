//! Runs a graph: each stage as soon as the stages that it needs have completed.

use std::any::Any;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::future::join_all;
use futures::{FutureExt as _, StreamExt as _};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::attempt::{Running, run_step};
use super::attempts::Attempts;
use super::critical_path::{Span, critical_path};
use super::options::RunOptions;
use super::outcome::StepEnd;
use super::{
    Event, EventKind, Events, Graph, PlannedStep, RunSummary, Stage, StageOutline, Step, StepId, StepOutcome,
    StepOutline, Work,
};
use bootstrapper_core::failure::{Failure, Result};

/// How long a step may take to say again what it remarked.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

struct StepRecord {
    id: StepId,
    end: StepEnd,
    began: Instant,
    ended: Instant,
}

/// Runs every step of `graph` in order, and sends `events`. Never fails itself: the summary contains the
/// outcome of each step.
pub async fn run(graph: &Graph, options: &RunOptions, events: &Events) -> RunSummary {
    let began = Instant::now();
    events.send(whole_run(EventKind::RunStarted {
        headline: options.headline.clone(),
        stages: outline(graph),
    }));

    let announce_cancel = async {
        options.cancel.cancelled().await;
        events.send(whole_run(EventKind::CancelRequested));
        std::future::pending::<std::convert::Infallible>().await
    };
    let records = tokio::select! {
        // Checked first: a cancelled run is reported as such, even if it ended at the same moment.
        biased;
        never = announce_cancel => match never {},
        records = run_stages(graph, options, events) => records,
    };
    let records = renewed(graph, records, options).await;
    let summary = summarize(graph, &records, began.elapsed());

    events.send(whole_run(EventKind::RunFinished { summary: summary.clone() }));
    summary
}

/// The outcome of a stage.
#[derive(Default)]
struct StageEnd {
    records: Vec<StepRecord>,
    /// Whether dependent stages may start: only if the stages that it needs permit it, and all its steps do.
    /// A stage in which nothing ran permits it only if it could have started itself.
    unblocks_dependents: bool,
}

async fn run_stages(graph: &Graph, options: &RunOptions, events: &Events) -> HashMap<String, StageEnd> {
    let mut waiting: Vec<Stage> = graph.stages.clone();
    let mut running = JoinSet::new();
    let mut names = HashMap::new();
    let mut done: HashMap<String, StageEnd> = HashMap::new();
    loop {
        let (startable, still_waiting): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|stage| stage.needs.iter().all(|need| done.contains_key(need)));
        waiting = still_waiting;
        for stage in startable {
            let needs_hold =
                stage.needs.iter().all(|need| done.get(need).is_some_and(|end| end.unblocks_dependents));
            let (options, events, name) = (options.clone(), events.clone(), stage.name.clone());
            let task = running.spawn(async move { run_stage(&stage, needs_hold, &options, &events).await });
            names.insert(task.id(), name);
        }
        let (id, end) = match running.join_next_with_id().await {
            Some(Ok((id, end))) => (id, end),
            // Its steps have no record, and count as not started; so do those of dependent stages.
            Some(Err(panicked)) => (panicked.id(), StageEnd::default()),
            None => return done,
        };
        if let Some(name) = names.remove(&id) {
            done.insert(name, end);
        }
    }
}

async fn run_stage(stage: &Stage, needs_hold: bool, options: &RunOptions, events: &Events) -> StageEnd {
    let unblocks_dependents = |records: &[StepRecord]| {
        needs_hold && records.iter().all(|record| record.end.outcome.unblocks_dependents())
    };
    let mut records: Vec<StepRecord> = Vec::with_capacity(stage.steps.len());
    if stage.parallel {
        records
            .extend(join_all(stage.steps.iter().map(|step| record(step, needs_hold, options, events))).await);
    } else {
        for step in &stage.steps {
            let may_start = unblocks_dependents(&records);
            records.push(record(step, may_start, options, events).await);
        }
    }
    StageEnd { unblocks_dependents: unblocks_dependents(&records), records }
}

async fn record(step: &PlannedStep, may_start: bool, options: &RunOptions, events: &Events) -> StepRecord {
    let began = Instant::now();
    let end = match &step.work {
        Work::Skipped { reason } => StepEnd::without_changes(StepOutcome::Skipped { reason: reason.clone() }),
        _ if !may_start || options.cancel.is_cancelled() => StepEnd::without_changes(StepOutcome::NotStarted),
        Work::Impossible { failure, .. } => {
            let attempts = Attempts::new(step.id.clone(), events.clone());
            attempts.send(EventKind::StepStarted);
            failed(failure.clone(), &attempts)
        }
        Work::Step(work) => {
            let attempts = Attempts::new(step.id.clone(), events.clone());
            let running = Running { title: &step.title, limits: step.limits, step: &**work };
            let run = AssertUnwindSafe(run_step(running, options, attempts.clone()));
            run.catch_unwind().await.unwrap_or_else(|panic| panicked(step, &*panic, &attempts))
        }
    };
    if !ran(&end.outcome) {
        events.send(Event {
            at: jiff::Timestamp::now(),
            step: Some(step.id.clone()),
            attempt: 0,
            step_elapsed: Duration::ZERO,
            attempt_elapsed: Duration::ZERO,
            kind: EventKind::StepFinished { outcome: end.outcome.clone(), failure: None, causes: Vec::new() },
        });
    }
    StepRecord { id: step.id.clone(), end, began, ended: Instant::now() }
}

/// A step that panicked has failed, and the run continues as after any failure.
fn panicked(step: &PlannedStep, panic: &(dyn Any + Send), attempts: &Attempts) -> StepEnd {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    failed(Failure::internal(format!("{} panicked", step.id)).because(said), attempts)
}

/// The end of a step that failed without known changes.
fn failed(failure: Failure, attempts: &Attempts) -> StepEnd {
    attempts.send(EventKind::StepFinished {
        outcome: StepOutcome::Failed,
        failure: Some(failure.clone()),
        causes: Vec::new(),
    });
    StepEnd { failure: Some(failure), ..StepEnd::without_changes(StepOutcome::Failed) }
}

/// The records with the remarks of this moment: what was worth a warning when a step ended is often settled by
/// the end of the run. What cannot be told now stays as it was.
async fn renewed(
    graph: &Graph,
    mut stages: HashMap<String, StageEnd>,
    options: &RunOptions,
) -> HashMap<String, StageEnd> {
    let records = stages.values_mut().flat_map(|stage| &mut stage.records);
    let looks = records.filter_map(|record| {
        let plain = record.end.remarked.clone()?;
        let step = graph.steps().find(|step| step.id == record.id)?;
        let Work::Step(step) = &step.work else { return None };
        Some(async move {
            if let Some(remarks) = remarks_of(&**step).await {
                record.end.outcome = plain.and_remarks(remarks);
            }
        })
    });
    if !options.cancel.is_cancelled() {
        join_all(looks).await;
    }
    stages
}

/// The remarks of a step that is ready now; none if it is not, or does not say so in time.
async fn remarks_of(step: &dyn Step) -> Option<Vec<String>> {
    let mut items = step.settle();
    let ready = async {
        while let Some(item) = items.next().await {
            match item {
                Ok(readiness) if readiness.verdict.is_ready() => return Some(readiness.remarks),
                _ => {}
            }
        }
        None
    };
    tokio::time::timeout(LOOK_AGAIN, ready).await.unwrap_or_default()
}

/// Steps that ran send this event themselves.
fn ran(outcome: &StepOutcome) -> bool {
    !matches!(outcome, StepOutcome::Skipped { .. } | StepOutcome::NotStarted)
}

fn summarize(graph: &Graph, stages: &HashMap<String, StageEnd>, elapsed: Duration) -> RunSummary {
    let mut summary = RunSummary {
        steps: Vec::new(),
        failures: Vec::new(),
        changed: 0,
        unchanged: 0,
        elapsed,
        took: Vec::new(),
        critical_path: Vec::new(),
    };
    let mut spans = Vec::new();
    for stage in &graph.stages {
        let of_stage = stages.get(&stage.name).map_or(&[][..], |end| &end.records);
        for step in &stage.steps {
            let Some(record) = of_stage.iter().find(|record| record.id == step.id) else {
                summary.steps.push((step.id.clone(), StepOutcome::NotStarted));
                continue;
            };
            summary.failures.extend(record.end.failure.clone());
            summary.changed += record.end.changed;
            summary.unchanged += record.end.unchanged;
            summary.steps.push((step.id.clone(), record.end.outcome.clone()));
            if ran(&record.end.outcome) {
                summary.took.push((step.id.clone(), record.ended - record.began));
            }
            spans.push(Span { id: step.id.clone(), began: record.began, ended: record.ended });
        }
    }
    summary.critical_path = critical_path(spans);
    summary
}

fn outline(graph: &Graph) -> Vec<StageOutline> {
    let step = |step: &PlannedStep| StepOutline {
        id: step.id.clone(),
        title: step.title.clone(),
        skip: step.skip_reason().map(str::to_owned),
    };
    graph
        .stages
        .iter()
        .map(|stage| StageOutline { name: stage.name.clone(), steps: stage.steps.iter().map(step).collect() })
        .collect()
}

fn whole_run(kind: EventKind) -> Event {
    Event {
        at: jiff::Timestamp::now(),
        step: None,
        attempt: 0,
        step_elapsed: Duration::ZERO,
        attempt_elapsed: Duration::ZERO,
        kind,
    }
}

/// Observes all steps, in plan order: what a run would do. Writes nothing.
pub async fn observe(graph: &Graph) -> Vec<(PlannedStep, Result<super::Observation>)> {
    let observed = graph.steps().map(|planned| async move {
        match &planned.work {
            Work::Step(step) => Some((planned.clone(), step.observe().await)),
            Work::Impossible { failure, .. } => Some((planned.clone(), Err(failure.clone()))),
            Work::Skipped { .. } => None,
        }
    });
    join_all(observed).await.into_iter().flatten().collect()
}
