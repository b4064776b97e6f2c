//! `bootstrapper clean`: lists the existing objects of the bootstrap, last first, and deletes them.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::args::{CleanArgs, Output};
use super::cancel::Cancel;
use super::confirm::confirm;
use super::out;
use super::resume;
use super::run::run_shown;
use super::sandbox;
use super::session::Session;
use bootstrapper_cluster::{self as cluster, Entry, Identity, RunEnd, RunRecord, StepRecord};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_core::words::count;
use bootstrapper_engine::{Gate as _, Owned, PlannedStep, RunOptions, RunSummary};
use bootstrapper_readiness::has_taken_over;
use bootstrapper_report::{Forecast, Progress};
use bootstrapper_steps::plan::{HeldLock, LockGate};
use bootstrapper_steps::teardown::{self, Part, Plan, RemovalOptions};

/// A deletion without progress for this long is stuck.
const STUCK_AFTER: Duration = Duration::from_mins(2);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CleanReport<'a> {
    cluster: &'a str,
    /// What would be deleted, in that order, and by which program.
    removes: &'a [Part],
    /// What is kept, and why.
    kept: &'a [String],
    /// Steps of earlier runs that changed something and are no longer in the pipeline.
    unknown_steps: Vec<String>,
}

/// The objects of the steps, last first, and what else is deleted.
struct Removal<'a> {
    steps: Vec<(&'a PlannedStep, Owned)>,
    plan: Arc<Plan>,
}

pub(super) async fn clean(args: &CleanArgs) -> Result<()> {
    let rehearsal = sandbox::running(&args.cluster, args.sandbox)?;
    let session = Session::open(&args.cluster, &args.target, &args.selection, rehearsal.as_ref()).await?;
    if args.flux_too && !session.is_whole() {
        return Err(Failure::input(
            "--flux-too removes everything that Flux applied, and cannot be limited to some steps",
        )
        .hint("leave out --only, --from, --until and --skip"));
    }
    let removal = removal(&session, args.flux_too).await?;
    let answer = CleanReport {
        cluster: &args.cluster,
        removes: &removal.plan.parts,
        kept: &removal.plan.kept,
        unknown_steps: unknown_steps(&session).await?,
    };
    match args.output.output {
        Output::Json => out::json(&answer)?,
        Output::Text => out::text(&text(&answer))?,
    }
    if !args.flux_too {
        refuse_what_flux_owns(&session).await?;
    }
    if args.dry_run || answer.removes.is_empty() {
        return Ok(());
    }
    confirm(&format!("Remove this from {}?", args.cluster), args.yes)?;
    let cancel = Cancel::on_signals();
    tokio::select! {
        result = carry_out(&session, args, &removal, cancel.requested()) => result,
        failure = cancel.aborted() => Err(failure),
    }
}

async fn removal(session: &Session, with_flux: bool) -> Result<Removal<'_>> {
    let mut steps = Vec::new();
    for planned in session.graph.steps().rev() {
        if let Some(undo) = planned.undo() {
            steps.push((planned, undo.owned().await?));
        }
    }
    let owned: Vec<(String, Owned)> =
        steps.iter().map(|(planned, owned)| (planned.id.to_string(), owned.clone())).collect();
    let (is_whole, Session { cluster, declared, .. }) = (session.is_whole(), session);
    let plan = Plan::read(cluster, declared, &owned, is_whole, with_flux).await?;
    Ok(Removal { steps, plan: Arc::new(plan) })
}

/// The name of a step in a history that an older version of this program may have written.
fn current_name(step: &str) -> String {
    step.replace("/adoption-foretold", "/adoption-forecast")
        .replace("/adoption-confirmed", "/adoption-verify")
}

/// Steps in the history that are not in the pipeline.
async fn unknown_steps(session: &Session) -> Result<Vec<String>> {
    let known: Vec<String> = session.graph.steps().map(|step| step.id.to_string()).collect();
    let runs = session.cluster.history().await?.into_iter().filter_map(|entry| match entry {
        Entry::Run(run) => run.end,
        Entry::Unreadable { .. } => None,
    });
    let wrote = runs.flat_map(|end| end.steps).filter(StepRecord::may_have_written);
    let is_known = |step: &str| known.iter().any(|known| known == &current_name(step));
    let mut unknown: Vec<String> = wrote.map(|step| step.step).filter(|step| !is_known(step)).collect();
    unknown.sort();
    unknown.dedup();
    Ok(unknown)
}

async fn refuse_what_flux_owns(session: &Session) -> Result<()> {
    let root = ObjectRef::of(&session.declared.sync);
    if !session.cluster.get(&root).await?.as_ref().is_some_and(has_taken_over) {
        return Ok(());
    }
    Err(Failure::step(format!("Flux has taken over {}; nothing was removed", session.declared.cluster))
        .because(format!("{root} is applied: Flux owns these objects and would recreate them"))
        .hint("pass --flux-too to remove what Flux applied, then what the bootstrap installed (deletes volumes and their data); preview it with --flux-too --dry-run"))
}

async fn carry_out(
    session: &Session,
    args: &CleanArgs,
    removal: &Removal<'_>,
    cancel: CancellationToken,
) -> Result<()> {
    let record =
        RunRecord::begins(jiff::Timestamp::now(), cluster::here(), session.declared.revision.clone());
    let identity = Identity::declared(&session.declared.cluster, &session.declared.settings);
    let gate = Arc::new(LockGate::new(session.cluster.clone(), identity, record.clone()));
    gate.pass(&|said| out::say(&said)).await?;
    let options = RemovalOptions {
        stall_timeout: args.selection.inactivity.unwrap_or(STUCK_AFTER),
        release_finalizers: args.release_finalizers,
    };
    let graph = teardown::graph(&removal.plan, &removal.steps, &options);
    let options = RunOptions {
        gate: Arc::new(HeldLock(Arc::clone(&gate))),
        force_conflicts: false,
        strict: false,
        cancel: cancel.clone(),
        headline: format!("clean {}", session.headline()),
    };
    let summary = run_shown(&graph, &options, progress(args), Forecast::default(), |_| {}).await;

    let removed = if summary.succeeded() { removal.plan.count() } else { 0 };
    let end = RunEnd {
        outcome: if summary.succeeded() { "cleaned" } else { "clean failed" }.to_owned(),
        seconds: summary.elapsed.as_secs_f64(),
        changed: removed,
        unchanged: 0,
        steps: Vec::new(),
    };
    let written = session.cluster.record_run(&record.ends(end)).await;
    let forgotten = if summary.succeeded() && session.is_whole() {
        session.cluster.forget_identity().await
    } else {
        Ok(())
    };
    let released = gate.release().await;
    conclude(&args.cluster, &summary, cancel.is_cancelled()).and(written).and(forgotten).and(released)?;
    out::say(&format!("{}: {} removed", args.cluster, count(removed, "object")));
    Ok(())
}

/// The list of deletions goes to stdout; progress never does.
fn progress(args: &CleanArgs) -> Progress {
    match args.output.output {
        Output::Text => Progress::Auto,
        Output::Json => Progress::Plain,
    }
}

fn conclude(name: &str, summary: &RunSummary, is_cancelled: bool) -> Result<()> {
    if summary.succeeded() {
        return Ok(());
    }
    Err(resume::unfinished(&format!("{name} is not clean"), summary, is_cancelled)
        .hint("run the same command again to remove the rest"))
}

fn text(answer: &CleanReport<'_>) -> String {
    let mut text = String::new();
    if answer.removes.is_empty() {
        let _ = writeln!(text, "{}: nothing to remove", answer.cluster);
    }
    for Part { step, by, what } in answer.removes {
        let _ = writeln!(text, "{step}  {}, removed by {by}", what.summary);
        for change in &what.changes {
            let parts: Vec<&str> =
                [&change.subject].into_iter().chain(&change.details).map(String::as_str).collect();
            let _ = writeln!(text, "  - {}", parts.join(", "));
        }
    }
    for kept in answer.kept {
        let _ = writeln!(text, "kept: {kept}");
    }
    for step in &answer.unknown_steps {
        let _ =
            writeln!(text, "{step}  changed by an earlier run, no longer in the pipeline; check manually");
    }
    text
}
