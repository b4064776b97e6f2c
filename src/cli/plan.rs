//! `bootstrapper plan`: what a run would do.

use serde::Serialize;

use super::args::{Output, PlanArgs};
use super::out;
use super::sandbox;
use super::session::Session;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_engine::{self as engine, Observation};
use bootstrapper_report as report;

#[derive(Serialize)]
struct Planned {
    step: String,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    observation: Option<Observation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
}

pub(super) async fn plan(args: &PlanArgs) -> Result<()> {
    let rehearsal = sandbox::running(&args.cluster, args.sandbox)?;
    let session = Session::open(&args.cluster, &args.target, &args.selection, rehearsal.as_ref()).await?;
    show(&session, args.output.output).await
}

/// Observes everything and shows it. Writes nothing. Fails if a step could not be observed.
pub(super) async fn show(session: &Session, output: Output) -> Result<()> {
    let observed = engine::observe(&session.graph).await;
    let planned: Vec<Planned> = observed
        .into_iter()
        .map(|(step, answer)| {
            let (observation, failure) = match answer {
                Ok(observation) => (Some(observation), None),
                Err(failure) => (None, Some(failure)),
            };
            Planned { step: step.id.to_string(), title: step.title, observation, failure }
        })
        .collect();
    match output {
        Output::Json => out::json(&planned)?,
        Output::Text => {
            let lines = planned
                .iter()
                .map(|planned| (planned.step.as_str(), planned.title.as_str(), &planned.observation));
            out::text(&report::plan_text(lines))?;
        }
    }
    let mut failures = planned.into_iter().filter_map(|planned| planned.failure);
    let Some(first) = failures.next() else { return Ok(()) };
    // Each is a step of its own; the first decides the exit code, and is printed last.
    for other in failures.filter(|other| other.what != first.what) {
        out::say(&report::failure_text(&other));
    }
    Err(first)
}
