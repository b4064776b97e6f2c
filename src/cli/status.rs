//! `bootstrapper status`: what is ready, and what each step is waiting for.

use std::time::Duration;

use futures::StreamExt as _;
use futures::future::join_all;
use serde::Serialize;

use super::args::{Output, PlanArgs};
use super::out;
use super::sandbox;
use super::session::Session;
use bootstrapper_core::failure::{Failure, FailureKind, Result, Retry};
use bootstrapper_core::verdict::{Readiness, Verdict};
use bootstrapper_engine::{Observation, PlannedStep, Step, Work};
use bootstrapper_report as report;

#[derive(Serialize)]
struct StepStatus {
    step: String,
    title: String,
    #[serde(flatten)]
    readiness: Readiness,
    /// The steps that could not be checked, with the error.
    #[serde(skip)]
    failure: Option<Failure>,
}

/// An upper limit: a watch yields its state or an error long before.
const LIMIT: Duration = Duration::from_mins(1);

pub(super) async fn status(args: &PlanArgs) -> Result<()> {
    let rehearsal = sandbox::running(&args.cluster, args.sandbox)?;
    let session = Session::open(&args.cluster, &args.target, &args.selection, rehearsal.as_ref()).await?;
    let steps = session.graph.steps().filter(|step| step.skip_reason().is_none());
    let statuses: Vec<StepStatus> = join_all(steps.map(status_of)).await;
    match args.output.output {
        Output::Json => out::json(&statuses)?,
        Output::Text => out::text(&report::status_text(statuses.iter().map(|status| report::StatusLine {
            step: &status.step,
            title: &status.title,
            readiness: &status.readiness,
        })))?,
    }
    let unready = statuses.iter().filter(|status| !status.readiness.verdict.is_ready()).count();
    if unready == 0 {
        return Ok(());
    }
    // A missing permission is an error, not "not ready".
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
    Err(failure.hint(format!("`bootstrapper plan {}` shows what a run would change", args.cluster)))
}

/// Missing objects are not ready, whatever the state of the existing ones.
async fn status_of(planned: &PlannedStep) -> StepStatus {
    let mut hidden = None;
    let readiness = match &planned.work {
        Work::Step(step) => match readiness_of(&**step).await {
            Ok(readiness) => readiness,
            Err(failure) => of_failure(failure, &mut hidden).into(),
        },
        Work::Impossible { failure, .. } => of_failure(failure.clone(), &mut hidden).into(),
        Work::Skipped { reason } => Verdict::not_yet(reason.as_str()).into(),
    };
    StepStatus { step: planned.id.to_string(), title: planned.title.clone(), readiness, failure: hidden }
}

async fn readiness_of(step: &dyn Step) -> Result<Readiness> {
    Ok(match step.observe().await? {
        Observation::Missing(diff) | Observation::Drifted(diff) => {
            Verdict::not_yet(format!("to do: {}", diff.summary)).into()
        }
        Observation::Blocked { by } => Verdict::not_yet(format!("waiting for {by}")).into(),
        Observation::Awaited { waits_for, progress } => {
            Readiness { progress, ..Verdict::NotYet(waits_for).into() }
        }
        Observation::Satisfied { .. } => match tokio::time::timeout(LIMIT, step.settle().next()).await {
            Ok(Some(readiness)) => readiness?,
            Ok(None) => Readiness::ready(),
            Err(_) => Verdict::not_yet("the API server does not answer").into(),
        },
    })
}

/// A step that cannot be observed is not ready, and can never be if a retry cannot help.
fn of_failure(failure: Failure, hidden: &mut Option<Failure>) -> Verdict {
    let why = failure.to_string();
    let is_final = failure.retry == Retry::Useless && failure.kind == FailureKind::Connection;
    *hidden = Some(failure);
    if is_final { Verdict::never(why) } else { Verdict::not_yet(why) }
}
