//! `bootstrapper <cluster>`: observe, act, settle, until Flux owns the cluster.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::agree::agree;
use super::args::{RunArgs, SandboxArgs};
use super::cancel::Cancel;
use super::session::{Session, open_repository};
use super::{out, plan, sandbox};
use crate::cluster::{Cluster, RunRecord};
use crate::engine::{self, Events, RunOptions, RunSummary};
use crate::failure::{Failure, FailureKind, Result};
use crate::plan::LockGate;
use crate::report::{self, Closing};
use crate::sandbox::Sandbox;

pub(super) async fn run(args: &RunArgs) -> Result<()> {
    for cluster in &args.clusters {
        run_one(cluster, args).await?;
    }
    Ok(())
}

async fn run_one(cluster: &str, args: &RunArgs) -> Result<()> {
    let sandbox = if args.sandbox { Some(bring_up(cluster, args).await?) } else { None };
    let session = Session::open(cluster, &args.target, &args.selection, sandbox.as_ref()).await?;
    if args.dry_run {
        return plan::show(&session, super::args::Output::Text).await;
    }
    if args.break_lock {
        break_lock(&session.cluster, cluster, args.yes).await?;
    }
    let cancel = Cancel::on_signals();
    tokio::select! {
        result = carry_out(&session, args, sandbox.as_ref(), cancel.requested()) => result,
        failure = cancel.insisted() => Err(failure.hint(how_to_go_on(cluster, args))),
    }
}

async fn bring_up(cluster: &str, args: &RunArgs) -> Result<Sandbox> {
    let repository = open_repository(args.target.repo.as_deref())?;
    let is_new = crate::sandbox::load(cluster).is_err();
    let shape = SandboxArgs { network: args.network, router: args.router, ..SandboxArgs::default() };
    let sandbox = sandbox::bring_up(cluster, &repository, &shape).await?;
    if is_new {
        sandbox::tell_stand_ins(&sandbox);
    }
    Ok(sandbox)
}

async fn break_lock(cluster: &Cluster, name: &str, agreed: bool) -> Result<()> {
    let Some(holding) = cluster.lock_holding().await? else { return Ok(()) };
    out::say(&format!("the lock of {name}: {holding}"));
    agree("Take the cluster from that run? It may be at work.", agreed)?;
    cluster.break_lock(&holding).await
}

async fn carry_out(
    session: &Session,
    args: &RunArgs,
    sandbox: Option<&Sandbox>,
    cancel: CancellationToken,
) -> Result<()> {
    let started = jiff::Timestamp::now();
    let gate = Arc::new(LockGate::new(
        session.cluster.clone(),
        session.declared.cluster.clone(),
        started.to_string(),
    ));
    let options = RunOptions {
        gate: gate.clone(),
        force_conflicts: args.force_conflicts,
        strict: args.strict,
        cancel: cancel.clone(),
        headline: session.headline(),
    };
    let (events, received) = Events::channel();
    let renderer = tokio::spawn(report::render(received, args.progress.into()));
    let summary = engine::run(&session.graph, &options, &events).await;
    drop(events);
    let _ = renderer.await;

    if gate.was_passed() {
        // An API server that is gone must not hide why the run failed; the lock expires by itself.
        for left_undone in
            [session.cluster.record_run(&record(started, &summary)).await, gate.release().await]
        {
            if let Err(failure) = left_undone {
                tracing::warn!(%failure, "the run's end could not be written down");
            }
        }
    }
    conclude(session, args, sandbox, &summary, cancel.is_cancelled())
}

fn record(started: jiff::Timestamp, summary: &RunSummary) -> RunRecord {
    RunRecord {
        started,
        seconds: summary.elapsed.as_secs_f64(),
        succeeded: summary.succeeded(),
        changed: summary.changed,
        unchanged: summary.unchanged,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

fn conclude(
    session: &Session,
    args: &RunArgs,
    sandbox: Option<&Sandbox>,
    summary: &RunSummary,
    is_cancelled: bool,
) -> Result<()> {
    let name = &session.declared.cluster;
    if summary.succeeded() {
        let requests = session.cluster.requests();
        let closing = Closing {
            cluster: name,
            revision: session.declared.revision.as_deref(),
            kustomizations: session.declared.kustomizations.len(),
            releases: session.declared.releases.len(),
            summary,
            requests: report::Requests {
                reads: requests.reads,
                writes: requests.writes,
                repeated: requests.repeated,
            },
            complete: session.is_whole,
            kubeconfig: sandbox.map(|sandbox| sandbox.kubeconfig.as_path()),
        };
        out::say(&report::closing_text(&closing));
        return Ok(());
    }
    // The renderer has told each failure in full: here it is only the exit code and the way on.
    let kind = match summary.failures.first() {
        _ if is_cancelled => FailureKind::Cancelled,
        Some(failure) => failure.kind,
        None => FailureKind::Step,
    };
    let done = summary.steps.iter().filter(|(_, outcome)| outcome.lets_others_start()).count();
    Err(Failure::new(
        kind,
        format!("{name} is not bootstrapped yet: {done} of {} steps are done", summary.steps.len()),
    )
    .hint(how_to_go_on(name, args)))
}

fn how_to_go_on(cluster: &str, args: &RunArgs) -> String {
    let sandbox = if args.sandbox { " --sandbox" } else { "" };
    let option = |name: &str, value: Option<String>| {
        value.map(|value| format!(" --{name} {value}")).unwrap_or_default()
    };
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    format!(
        "go on with `bootstrapper {cluster}{sandbox}{}{}{}`: what is done stays done",
        option("repo", path(&args.target.repo)),
        option("context", args.target.context.clone()),
        option("kubeconfig", path(&args.target.kubeconfig)),
    )
}
