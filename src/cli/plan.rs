//! `bootstrapper plan`: what a run would do.

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use super::args::{Output, PlanArgs, PlanVerbArgs};
use super::header::{expected_text, header};
use super::plan_file::Observed;
use super::repository::open_repository;
use super::session::{Session, connect_options};
use super::{offline, out, past, plan_file, sandbox};
use bootstrapper_cluster::has_kubeconfig;
use bootstrapper_core::failure::{Failure, FailureKind, Result};
use bootstrapper_engine::{self as engine, Graph, Observation, StepId};
use bootstrapper_gitops::pipeline::Config;
use bootstrapper_report::{self as report, PlanLine};

#[derive(Serialize)]
struct Planned {
    step: String,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observation: Option<Observation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<Failure>,
}

/// The exit code of `plan --exit-code` if a run would change something.
const WOULD_CHANGE: u8 = 10;

pub(super) async fn plan(args: &PlanVerbArgs) -> Result<ExitCode> {
    if args.out.is_some() && args.clusters.len() > 1 {
        return Err(Failure::input("`--out` writes the plan of one cluster")
            .hint("run it once for each cluster, with a file each"));
    }
    let mut would_change = false;
    for cluster in &args.clusters {
        would_change |= plan_one(&args.of(cluster), args).await?;
    }
    Ok(if args.exit_code && would_change { ExitCode::from(WOULD_CHANGE) } else { ExitCode::SUCCESS })
}

/// Returns whether a run would change something; without a cluster that is not known.
async fn plan_one(plan: &PlanArgs, args: &PlanVerbArgs) -> Result<bool> {
    if args.offline {
        return offline::show(plan).await.map(|()| false);
    }
    let opened = async {
        let rehearsal = sandbox::running(&plan.cluster, plan.sandbox)?;
        Session::open(&plan.cluster, &plan.target, &plan.selection, rehearsal.as_ref()).await
    };
    match opened.await {
        Ok(session) => show(&session, plan.output.output, args.out.as_deref()).await,
        // The plan according to the repository is still useful.
        Err(failure) if failure.kind == FailureKind::Connection => {
            offline::show(plan).await?;
            let compares = plan.sandbox.is_set() || args.exit_code || args.out.is_some();
            if compares || is_configured(plan).await {
                return Err(failure.hint("`--offline` shows this plan without asking the cluster"));
            }
            out::say(&format!("warning: {}: nothing was compared", failure.what));
            Ok(false)
        }
        Err(failure) => Err(failure),
    }
}

/// Whether there is a kubeconfig, so that a cluster was expected.
async fn is_configured(plan: &PlanArgs) -> bool {
    let Ok(repository) = open_repository(plan.target.repo.as_deref()) else { return true };
    let Ok(config) = Config::load(&repository.root) else { return true };
    let is_named = plan.target.context.is_some() || plan.target.kubeconfig.is_some();
    is_named || has_kubeconfig(&connect_options(&plan.cluster, &plan.target, &config, None)).await
}

/// Observes all steps and prints the result. Writes nothing to the cluster. Fails if a step could not be
/// observed; else returns whether a run would change something.
pub(super) async fn show(session: &Session, output: Output, file: Option<&Path>) -> Result<bool> {
    let observed = engine::observe(&session.graph).await;
    if output == Output::Text {
        let history = session.cluster.history().await;
        let mut header = header(session, &history).await;
        let to_do: Vec<&StepId> =
            observed.iter().filter(|(_, seen)| !is_done(seen)).map(|(step, _)| &step.id).collect();
        if !to_do.is_empty() {
            let history = history.as_deref().unwrap_or_default();
            let (_, total) = past::expected(&session.graph, history, |step| to_do.contains(&&step.id));
            header.facts.push(("expected", expected_text(total)));
        }
        out::text(&report::header_text(&header))?;
    }
    let would_change = observed.iter().any(|(_, seen)| {
        matches!(seen, Ok(Observation::Missing(_) | Observation::Drifted(_) | Observation::Blocked { .. }))
    });
    if let Some(file) = file {
        plan_file::write(file, session, &observed)?;
    }
    print(observed, output)?;
    if let Some(file) = file {
        let name = &session.declared.cluster;
        out::say(&format!(
            "to run exactly this plan of {name}, add `--plan {}` to the command",
            file.display()
        ));
    }
    Ok(would_change)
}

/// Whether nothing is to be done or waited for.
fn is_done(observation: &Result<Observation>) -> bool {
    matches!(observation, Ok(Observation::Satisfied { .. }))
}

/// The same for any graph, without a header.
pub(super) async fn show_graph(graph: &Graph, output: Output) -> Result<()> {
    print(engine::observe(graph).await, output)
}

fn print(observed: Vec<Observed>, output: Output) -> Result<()> {
    let planned: Vec<Planned> = observed.into_iter().map(Planned::from).collect();
    match output {
        Output::Json => out::json(&planned)?,
        Output::Text => out::text(&report::plan_text(planned.iter().filter_map(Planned::line)))?,
    }
    let mut failures = planned.into_iter().filter_map(|planned| planned.failure);
    let Some(first) = failures.next() else { return Ok(()) };
    // Each is a failed step; the first determines the exit code, and is printed last.
    for other in failures.filter(|other| other.what != first.what) {
        out::say(&report::failure_text(&other));
    }
    Err(first)
}

impl From<Observed> for Planned {
    fn from((step, observed): Observed) -> Self {
        let (observation, failure) = match observed {
            Ok(observation) => (Some(observation), None),
            Err(failure) => (None, Some(failure)),
        };
        Self { step: step.id.to_string(), title: step.title, why: step.why, observation, failure }
    }
}

impl Planned {
    fn line(&self) -> Option<PlanLine<'_>> {
        let observation = match (&self.observation, &self.failure) {
            (Some(observation), _) => Ok(observation),
            (None, Some(failure)) => Err(failure),
            (None, None) => return None,
        };
        Some(PlanLine { step: &self.step, title: &self.title, why: self.why.as_deref(), observation })
    }
}
