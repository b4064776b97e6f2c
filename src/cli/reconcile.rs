//! `bootstrapper reconcile`: requests reconciliation from Flux, and follows the outcome.

use tokio_util::sync::CancellationToken;

use super::args::{Output, ReconcileArgs, Selection};
use super::cancel::Cancel;
use super::run::{RunSettings, run_recorded};
use super::runs::Recording;
use super::session::Session;
use super::{out, plan, resume, sandbox};
use bootstrapper_cluster::RunEnd;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_core::words::count;
use bootstrapper_engine::{Graph, Limits, RunSummary};
use bootstrapper_report::Forecast;
use bootstrapper_steps::reconcile::{self, ReconcileOptions};

pub(super) async fn reconcile(args: &ReconcileArgs) -> Result<()> {
    let rehearsal = sandbox::refreshed(&args.cluster, args.sandbox, args.target.repo.as_deref()).await?;
    let session = Session::open(&args.cluster, &args.target, &Selection::whole(), rehearsal.as_ref()).await?;
    let graph = reconcile::graph(&ReconcileOptions {
        cluster: &session.cluster,
        declared: &session.declared,
        repository: &session.root,
        names: &args.names,
        limits: Limits { timeout: args.timeout, inactivity: args.inactivity },
    })
    .await?;
    if args.dry_run {
        return plan::show_graph(&graph, Output::Text).await;
    }
    let cancel = Cancel::on_signals();
    let recording = Recording::begins(&session, "reconcile");
    tokio::select! {
        result = carry_out(&session, &graph, args, cancel.requested(), &recording) => result,
        failure = cancel.aborted() => {
            recording.ends("aborted");
            Err(failure)
        }
    }
}

async fn carry_out(
    session: &Session,
    graph: &Graph,
    args: &ReconcileArgs,
    cancel: CancellationToken,
    recording: &Recording,
) -> Result<()> {
    let settings = RunSettings {
        force_conflicts: false,
        strict: false,
        headline: format!("reconcile {}", session.headline()),
        progress: args.progress.into(),
        forecast: Forecast::default(),
    };
    let summary = run_recorded(session, graph, settings, cancel.clone(), recording, end).await;
    let outcome = end(&summary).outcome;
    let name = &session.declared.cluster;
    if !summary.succeeded() {
        recording.ends(&outcome);
        let what = format!("{name} is not reconciled");
        return Err(resume::unfinished(&what, &summary, cancel.is_cancelled())
            .hint(format!("`bootstrapper doctor {name}` diagnoses the whole cluster")));
    }
    out::say(&format!("{name} is reconciled: {}", closing(session, &summary).await?));
    recording.ends(&outcome);
    Ok(())
}

/// The history's entry: its steps are not steps of the pipeline.
fn end(summary: &RunSummary) -> RunEnd {
    RunEnd {
        outcome: if summary.succeeded() { "reconciled" } else { "reconcile failed" }.to_owned(),
        seconds: summary.elapsed.as_secs_f64(),
        changed: summary.changed,
        unchanged: summary.unchanged,
        steps: Vec::new(),
    }
}

/// The number of requests, and Flux's current revision.
async fn closing(session: &Session, summary: &RunSummary) -> Result<String, Failure> {
    let source = session.cluster.get(&ObjectRef::of(&session.declared.source)).await?;
    let revision = source.and_then(|source| {
        source.data["status"]["artifact"]["revision"]
            .as_str()
            .map(|revision| format!("ready at {revision}, "))
    });
    let requests = count(summary.changed, "reconciliation");
    let seconds = summary.elapsed.as_secs();
    Ok(format!("{}{requests} requested, {seconds} s", revision.unwrap_or_default()))
}
