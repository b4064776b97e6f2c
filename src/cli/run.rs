//! `bootstrapper <cluster>`: observe, act, settle, until Flux owns the cluster.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::args::RunArgs;
use super::cancel::Cancel;
use super::confirm::confirm;
use super::rehearsal::Rehearsal;
use super::runs::{Recording, requests};
use super::session::Session;
use super::{out, past, plan, plan_file, resume, sandbox};
use bootstrapper_cluster::{self as cluster, Cluster, Identity, RunEnd, RunRecord, StepRecord};
use bootstrapper_core::failure::{Failure, FailureKind, Result};
use bootstrapper_engine::{self as engine, Event, Events, Graph, RunOptions, RunSummary};
use bootstrapper_report::{self as report, Closing, Forecast, Progress};
use bootstrapper_steps::plan::LockGate;

pub(super) async fn run(args: &RunArgs) -> Result<()> {
    if args.plan.is_some() && args.clusters.len() > 1 {
        return Err(Failure::input("`--plan` takes the plan of one cluster"));
    }
    for cluster in &args.clusters {
        run_one(cluster, args).await?;
    }
    Ok(())
}

async fn run_one(cluster: &str, args: &RunArgs) -> Result<()> {
    let rehearsal = sandbox::brought_up(cluster, args).await?;
    let session = Session::open(cluster, &args.target, &args.selection, rehearsal.as_ref()).await?;
    if args.dry_run {
        return plan::show(&session, super::args::Output::Text, None).await.map(|_| ());
    }
    session.require_known()?;
    if let Some(file) = &args.plan {
        plan_file::require(file, &session).await?;
    }
    if args.break_lock {
        break_lock(&session.cluster, cluster, args.yes).await?;
    }
    let cancel = Cancel::on_signals();
    let recording = Recording::begins(&session, "run");
    tokio::select! {
        result = carry_out(&session, args, rehearsal.as_ref(), cancel.requested(), &recording) => result,
        failure = cancel.aborted() => {
            recording.ends("aborted");
            Err(failure.hint(how_to_resume()))
        }
    }
}

async fn break_lock(cluster: &Cluster, name: &str, confirmed: bool) -> Result<()> {
    let Some(holding) = cluster.lock_holding().await? else { return Ok(()) };
    out::say(&format!("the lock of {name}: {holding}"));
    confirm("Take the lock from that run? It may still be running.", confirmed)?;
    cluster.break_lock(&holding).await
}

async fn carry_out(
    session: &Session,
    args: &RunArgs,
    rehearsal: Option<&Rehearsal>,
    cancel: CancellationToken,
    recording: &Recording,
) -> Result<()> {
    let progress = Progress::from(args.progress);
    let settings = RunSettings {
        force_conflicts: args.force_conflicts,
        strict: args.strict,
        headline: session.headline(),
        progress,
        forecast: if progress.shows_forecast() { past::forecast(session).await } else { Forecast::default() },
    };
    let end = |summary: &RunSummary| end(session, summary, cancel.is_cancelled());
    let summary = run_recorded(session, &session.graph, settings, cancel.clone(), recording, end).await;
    let result = conclude(session, rehearsal, &summary, cancel.is_cancelled());
    recording.ends(&end(&summary).outcome);
    result
}

/// The options of a run.
pub(super) struct RunSettings {
    pub(super) force_conflicts: bool,
    pub(super) strict: bool,
    pub(super) headline: String,
    pub(super) progress: Progress,
    pub(super) forecast: Forecast,
}

/// Runs a graph under the cluster's lock. Records `end` in the history, if any action was started.
pub(super) async fn run_recorded(
    session: &Session,
    graph: &Graph,
    settings: RunSettings,
    cancel: CancellationToken,
    recording: &Recording,
    end: impl Fn(&RunSummary) -> RunEnd,
) -> RunSummary {
    let record =
        RunRecord::begins(jiff::Timestamp::now(), cluster::here(), session.declared.revision.clone());
    let identity = Identity::declared(&session.declared.cluster, &session.declared.settings);
    let gate = Arc::new(LockGate::new(session.cluster.clone(), identity, record.clone()));
    let RunSettings { force_conflicts, strict, headline, progress, forecast } = settings;
    let options = RunOptions { gate: gate.clone(), force_conflicts, strict, cancel, headline };
    let summary = run_shown(graph, &options, progress, forecast, recording.observer()).await;

    if gate.was_passed() {
        // An unreachable API server must not hide why the run failed.
        if let Err(failure) = session.cluster.record_run(&record.ends(end(&summary))).await {
            out::say(&format!("warning: cannot save the result of this run to the history: {failure}"));
        }
        if let Err(failure) = gate.release().await {
            out::say(&unreleased(&session.declared.cluster, &failure));
        }
    }
    summary
}

/// Runs a graph, and returns once its last event is rendered. `observe` receives each event before the renderer.
pub(super) async fn run_shown(
    graph: &Graph,
    options: &RunOptions,
    progress: Progress,
    forecast: Forecast,
    mut observe: impl FnMut(&Event) + Send + 'static,
) -> RunSummary {
    let (events, mut received) = Events::channel();
    let (forwarded, to_render) = Events::channel();
    let renderer = tokio::spawn(report::render(to_render, progress, forecast));
    tokio::spawn(async move {
        while let Some(event) = received.recv().await {
            observe(&event);
            forwarded.send(event);
        }
    });
    let summary = engine::run(graph, options, &events).await;
    drop(events);
    let _ = renderer.await;
    summary
}

/// A lock that could not be released delays the next run for a moment.
fn unreleased(cluster: &str, failure: &Failure) -> String {
    format!(
        "warning: cannot release the lock of {cluster}: {failure}; the next run waits until it expires (up to a minute)"
    )
}

/// The run's entry in the history.
fn end(session: &Session, summary: &RunSummary, is_cancelled: bool) -> RunEnd {
    let is_locked_out = summary.failures.iter().any(|failure| failure.kind == FailureKind::Locked);
    let outcome = match () {
        () if summary.succeeded() => "succeeded",
        () if is_locked_out => "locked out",
        () if is_cancelled => "cancelled",
        () => "failed",
    };
    let planned = session.graph.steps();
    let steps = summary.steps.iter().zip(planned).map(|((id, outcome), planned)| StepRecord {
        step: id.to_string(),
        outcome: outcome.name().to_owned(),
        seconds: summary.took.iter().find(|(of, _)| of == id).map(|(_, took)| took.as_secs_f64()),
        digest: planned.digest.clone(),
    });
    RunEnd {
        outcome: outcome.to_owned(),
        seconds: summary.elapsed.as_secs_f64(),
        changed: summary.changed,
        unchanged: summary.unchanged,
        steps: steps.collect(),
    }
}

fn conclude(
    session: &Session,
    rehearsal: Option<&Rehearsal>,
    summary: &RunSummary,
    is_cancelled: bool,
) -> Result<()> {
    let name = &session.declared.cluster;
    if summary.succeeded() {
        let closing = Closing {
            cluster: name,
            revision: session.declared.revision.as_deref(),
            kustomizations: session.declared.kustomizations.len(),
            releases: session.declared.releases.len(),
            summary,
            requests: requests(&session.cluster),
            extent: session.extent(),
            kubeconfig: rehearsal.map(|rehearsal| rehearsal.kubeconfig.as_path()),
        };
        out::say(report::closing_text(&closing).trim_end());
        return Ok(());
    }
    let failure = resume::unfinished(&format!("{name} is not bootstrapped"), summary, is_cancelled);
    let failure = resume::completed(summary, is_cancelled).into_iter().fold(failure, Failure::because);
    Err(failure.hint(how_to_resume()))
}

fn how_to_resume() -> String {
    format!("resume with `{}` (finished steps are skipped)", resume::command())
}
