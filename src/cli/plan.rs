//! `bootstrapper plan`: what a run would do.

use serde::Serialize;

use super::args::{Output, PlanArgs, PlanVerbArgs};
use super::repository::open_repository;
use super::session::{Session, connect_options};
use super::{offline, out, sandbox};
use bootstrapper_cluster::has_kubeconfig;
use bootstrapper_core::failure::{Failure, FailureKind, Result};
use bootstrapper_engine::{self as engine, Graph, Observation};
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

pub(super) async fn plan(args: &PlanVerbArgs) -> Result<()> {
    let PlanVerbArgs { plan, offline } = args;
    if *offline {
        return offline::show(plan).await;
    }
    let opened = async {
        let rehearsal = sandbox::running(&plan.cluster, plan.sandbox)?;
        Session::open(&plan.cluster, &plan.target, &plan.selection, rehearsal.as_ref()).await
    };
    match opened.await {
        Ok(session) => show(&session, plan.output.output).await,
        // The plan according to the repository is still useful.
        Err(failure) if failure.kind == FailureKind::Connection => {
            offline::show(plan).await?;
            let is_known = plan.sandbox.is_set() || is_configured(plan).await;
            if is_known {
                return Err(failure.hint("`--offline` shows this plan without asking the cluster"));
            }
            out::say(&format!("warning: {}: nothing was compared", failure.what));
            Ok(())
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

/// Observes all steps and prints the result. Writes nothing. Fails if a step could not be observed.
pub(super) async fn show(session: &Session, output: Output) -> Result<()> {
    show_graph(&session.graph, output).await
}

/// The same for any graph.
pub(super) async fn show_graph(graph: &Graph, output: Output) -> Result<()> {
    let observed = engine::observe(graph).await;
    let planned: Vec<Planned> = observed
        .into_iter()
        .map(|(step, answer)| {
            let (observation, failure) = match answer {
                Ok(observation) => (Some(observation), None),
                Err(failure) => (None, Some(failure)),
            };
            Planned { step: step.id.to_string(), title: step.title, why: step.why, observation, failure }
        })
        .collect();
    match output {
        Output::Json => out::json(&planned)?,
        Output::Text => {
            let lines = planned.iter().map(|planned| PlanLine {
                step: &planned.step,
                title: &planned.title,
                why: planned.why.as_deref(),
                observation: planned.observation.as_ref(),
            });
            out::text(&report::plan_text(lines))?;
        }
    }
    let mut failures = planned.into_iter().filter_map(|planned| planned.failure);
    let Some(first) = failures.next() else { return Ok(()) };
    // Each is a failed step; the first determines the exit code, and is printed last.
    for other in failures.filter(|other| other.what != first.what) {
        out::say(&report::failure_text(&other));
    }
    Err(first)
}
