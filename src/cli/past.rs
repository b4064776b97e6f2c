//! What earlier runs took: from the cluster's history, and from the runs of this machine.

use super::runs::Store;
use super::session::Session;
use bootstrapper_cluster::{Entry, RunRecord};
use bootstrapper_engine::{Graph, PlannedStep};
use bootstrapper_report::timeline::Timeline;
use bootstrapper_report::{Expected, Forecast, PastRun, PastStep, Total};

/// How many runs of this machine are read.
const READ: usize = 10;

/// What the steps that `count` are expected to take, each and in all: by the cluster's own history; for steps that
/// it does not have, by the runs of other clusters on this machine.
pub(super) fn expected(
    graph: &Graph,
    history: &[Entry],
    counts: impl Fn(&PlannedStep) -> bool,
) -> (Expected, Option<Total>) {
    let own: Vec<PastRun> = recorded(history).filter_map(of_record).collect();
    let own = Expected::of(&own);
    match own.total(graph, &counts) {
        Some(total) if total.unknown == 0 => (own, Some(total)),
        _ => {
            let all = own.or(Expected::of(&of_this_machine()));
            let total = all.total(graph, &counts);
            (all, total)
        }
    }
}

/// What a run of the whole plan is expected to take. An unreadable history is no reason not to run.
pub(super) async fn forecast(session: &Session) -> Forecast {
    let history = session.cluster.history().await.unwrap_or_default();
    let (steps, total) = expected(&session.graph, &history, |step| step.skip_reason().is_none());
    Forecast { total: total.map(|total| total.duration), steps }
}

/// The readable records, the newest first.
pub(super) fn recorded(history: &[Entry]) -> impl Iterator<Item = &RunRecord> {
    history.iter().filter_map(|entry| match entry {
        Entry::Run(run) => Some(&**run),
        Entry::Unreadable { .. } => None,
    })
}

fn of_record(run: &RunRecord) -> Option<PastRun> {
    let end = run.end.as_ref().filter(|end| end.outcome == "succeeded")?;
    let steps = end.steps.iter().filter_map(|step| {
        let seconds = step.seconds?;
        Some(PastStep { step: step.step.clone(), outcome: step.outcome.clone(), seconds })
    });
    Some(PastRun { has_changed: end.changed > 0, steps: steps.collect() })
}

fn of_this_machine() -> Vec<PastRun> {
    let runs = Store::open().and_then(|store| store.runs(None)).unwrap_or_default();
    let read = runs.iter().take(READ).filter_map(|run| run.read().ok());
    read.filter(|run| run.outcome == "succeeded").map(|run| of_timeline(&run)).collect()
}

fn of_timeline(run: &Timeline) -> PastRun {
    let steps = run.steps().filter(|step| step.start.is_some()).map(|step| PastStep {
        step: step.step.clone(),
        outcome: step.outcome.clone(),
        seconds: step.seconds,
    });
    PastRun { has_changed: run.changed > 0, steps: steps.collect() }
}
