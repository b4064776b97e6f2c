//! `bootstrapper status`: what is ready, and what each step still waits for.

use futures::StreamExt as _;
use futures::future::join_all;
use serde::Serialize;

use super::args::{Output, PlanArgs};
use super::out;
use super::session::Session;
use super::target::sandbox_of;
use crate::engine::{Observation, PlannedStep};
use crate::failure::{Failure, FailureKind, Result};
use crate::readiness::Verdict;
use crate::report;

#[derive(Serialize)]
struct StepStatus {
    step: String,
    title: String,
    #[serde(flatten)]
    verdict: Verdict,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remarks: Vec<String>,
}

pub(super) async fn status(args: &PlanArgs) -> Result<()> {
    let sandbox = sandbox_of(args)?;
    let session = Session::open(&args.cluster, &args.target, &args.selection, sandbox.as_ref()).await?;
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
    Err(Failure::new(
        FailureKind::Step,
        format!("{unready} of {} steps of {} are not ready", statuses.len(), args.cluster),
    )
    .hint(format!("`bootstrapper plan {}` says what a run would do about it", args.cluster)))
}

/// What is missing is not ready, whatever became of what is there.
async fn status_of(step: &PlannedStep) -> StepStatus {
    let verdict = match step.step.observe().await {
        Ok(Observation::Missing(diff) | Observation::Drifted(diff)) => {
            Verdict::not_yet(format!("to do: {}", diff.summary))
        }
        Ok(Observation::Blocked { by }) => Verdict::not_yet(format!("waits for {by}")),
        Ok(Observation::Awaited { waits_for }) => Verdict::NotYet(waits_for),
        Ok(Observation::Satisfied { .. }) => step.step.settle().next().await.unwrap_or(Verdict::Ready),
        Err(failure) => Verdict::not_yet(failure.to_string()),
    };
    let remarks = if verdict.is_ready() { step.step.remarks() } else { Vec::new() };
    StepStatus { step: step.id.to_string(), title: step.title.clone(), verdict, remarks }
}
