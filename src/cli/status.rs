//! `bootstrapper status`: what is ready, and what each step still waits for.

use std::time::Duration;

use futures::StreamExt as _;
use futures::future::join_all;
use serde::Serialize;

use super::args::{Output, PlanArgs};
use super::out;
use super::sandbox;
use super::session::Session;
use bootstrapper_core::failure::{Failure, FailureKind, Result, Retry};
use bootstrapper_engine::{Observation, PlannedStep};
use bootstrapper_readiness::Verdict;
use bootstrapper_report as report;

#[derive(Serialize)]
struct StepStatus {
    step: String,
    title: String,
    #[serde(flatten)]
    verdict: Verdict,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remarks: Vec<String>,
    /// What cannot be looked at, and why.
    #[serde(skip)]
    failure: Option<Failure>,
}

/// A watch tells what it sees, or why it sees nothing, long before.
const LIMIT: Duration = Duration::from_mins(1);

pub(super) async fn status(args: &PlanArgs) -> Result<()> {
    let rehearsal = sandbox::running(&args.cluster, args.sandbox)?;
    let session = Session::open(&args.cluster, &args.target, &args.selection, rehearsal.as_ref()).await?;
    let steps = session.graph.stages.iter().flat_map(|stage| &stage.steps).filter(|step| step.skip.is_none());
    let statuses: Vec<StepStatus> = join_all(steps.map(status_of)).await;
    match args.output.output {
        Output::Json => out::json(&statuses)?,
        Output::Text => out::text(&report::status_text(statuses.iter().map(|status| report::StatusLine {
            step: &status.step,
            title: &status.title,
            verdict: &status.verdict,
            remarks: &status.remarks,
        })))?,
    }
    let unready = statuses.iter().filter(|status| !status.verdict.is_ready()).count();
    if unready == 0 {
        return Ok(());
    }
    // Who may not look has no answer, which is another thing than one that is not ready.
    let hidden = statuses
        .iter()
        .filter_map(|status| status.failure.as_ref())
        .find(|failure| failure.kind == FailureKind::Connection);
    let kind = hidden.map_or(FailureKind::Step, |failure| failure.kind);
    let failure = Failure::new(
        kind,
        format!("{unready} of {} steps of {} are not ready", statuses.len(), args.cluster),
    );
    let failure = hidden
        .into_iter()
        .fold(failure, |failure, hidden| Failure { hints: hidden.hints.clone(), ..failure.because(hidden) });
    Err(failure.hint(format!("`bootstrapper plan {}` says what a run would do about it", args.cluster)))
}

/// What is missing is not ready, whatever became of what is there.
async fn status_of(step: &PlannedStep) -> StepStatus {
    let mut hidden = None;
    let verdict = match step.step.observe().await {
        Ok(Observation::Missing(diff) | Observation::Drifted(diff)) => {
            Verdict::not_yet(format!("to do: {}", diff.summary))
        }
        Ok(Observation::Blocked { by }) => Verdict::not_yet(format!("waits for {by}")),
        Ok(Observation::Awaited { waits_for }) => Verdict::NotYet(waits_for),
        Ok(Observation::Satisfied { .. }) => {
            let told = tokio::time::timeout(LIMIT, step.step.settle().next()).await;
            match told.unwrap_or_else(|_| Some(Ok(Verdict::not_yet("the API server does not tell")))) {
                None => Verdict::Ready,
                Some(Ok(verdict)) => verdict,
                Some(Err(failure)) => of_failure(failure, &mut hidden),
            }
        }
        Err(failure) => of_failure(failure, &mut hidden),
    };
    let remarks = if verdict.is_ready() { step.step.remarks() } else { Vec::new() };
    StepStatus { step: step.id.to_string(), title: step.title.clone(), verdict, remarks, failure: hidden }
}

/// What cannot be looked at is not ready; and never will be told, if no retry can help.
fn of_failure(failure: Failure, hidden: &mut Option<Failure>) -> Verdict {
    let why = failure.to_string();
    let is_final = failure.retry == Retry::Useless && failure.kind == FailureKind::Connection;
    *hidden = Some(failure);
    if is_final { Verdict::never(why) } else { Verdict::not_yet(why) }
}
