//! `bootstrapper clean`: shows what the bootstrap has made and is there, the last first, and removes it.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::agree::agree;
use super::args::{CleanArgs, Output};
use super::cancel::Cancel;
use super::out;
use super::sandbox;
use super::session::Session;
use bootstrapper_cluster::{self as cluster, Entry, Identity, RunEnd, RunRecord, StepRecord};
use bootstrapper_core::failure::{Failure, FailureKind, Result};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_core::words::count;
use bootstrapper_engine::{Gate as _, Made, PlannedStep, Unmake};
use bootstrapper_readiness::has_taken_over;
use bootstrapper_steps::plan::LockGate;
use bootstrapper_steps::teardown::{Part, Plan};

/// How long nothing may change before what is removed counts as stuck.
const PATIENCE: Duration = Duration::from_mins(2);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    cluster: &'a str,
    /// What would be removed, in that order, and by whom.
    removes: &'a [Part],
    /// What stays, and why.
    stays: &'a [String],
    /// Steps that once changed something and are no part of the pipeline any more.
    unknown_steps: Vec<String>,
}

/// What the steps have made, the last first, and what else goes.
struct Removal<'a> {
    steps: Vec<(&'a PlannedStep, Made)>,
    plan: Plan,
}

pub(super) async fn clean(args: &CleanArgs) -> Result<()> {
    let rehearsal = sandbox::running(&args.cluster, args.sandbox)?;
    let session = Session::open(&args.cluster, &args.target, &args.selection, rehearsal.as_ref()).await?;
    if args.flux_too && !session.is_whole {
        return Err(Failure::input(
            "--flux-too removes all that Flux has applied, and cannot be limited to some steps",
        )
        .hint("leave out --only, --from, --until and --skip"));
    }
    let removal = removal(&session, args.flux_too).await?;
    let answer = Answer {
        cluster: &args.cluster,
        removes: &removal.plan.parts,
        stays: &removal.plan.stays,
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
    agree(&format!("Remove this from {}?", args.cluster), args.yes)?;
    let cancel = Cancel::on_signals();
    tokio::select! {
        result = carry_out(&session, args, &removal, &cancel) => result,
        failure = cancel.insisted() => Err(failure),
    }
}

async fn removal(session: &Session, with_flux: bool) -> Result<Removal<'_>> {
    let planned = session.graph.stages.iter().rev().flat_map(|stage| stage.steps.iter().rev());
    let mut steps = Vec::new();
    for planned in planned.filter(|step| step.skip.is_none()) {
        steps.push((planned, planned.step.made().await?));
    }
    let made: Vec<(String, Made)> =
        steps.iter().map(|(planned, made)| (planned.id.to_string(), made.clone())).collect();
    let Session { cluster, declared, is_whole, .. } = session;
    let plan = Plan::read(cluster, declared, &made, *is_whole, with_flux).await?;
    Ok(Removal { steps, plan })
}

/// What the history knows of, and the pipeline does not.
async fn unknown_steps(session: &Session) -> Result<Vec<String>> {
    let known: Vec<String> =
        session.graph.stages.iter().flat_map(|stage| &stage.steps).map(|step| step.id.to_string()).collect();
    let runs = session.cluster.history().await?.into_iter().filter_map(|entry| match entry {
        Entry::Run(run) => run.end,
        Entry::Unreadable { .. } => None,
    });
    let wrote = runs.flat_map(|end| end.steps).filter(StepRecord::may_have_written);
    let mut unknown: Vec<String> = wrote.map(|step| step.step).filter(|step| !known.contains(step)).collect();
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
        .because(format!("{root} has been applied: what the bootstrap made is Flux's by now, and would come back"))
        .hint("with --flux-too Flux removes what it applied, the bootstrap then what it installed, and data goes with its volumes: --flux-too --dry-run lists all of it"))
}

async fn carry_out(
    session: &Session,
    args: &CleanArgs,
    removal: &Removal<'_>,
    cancel: &Cancel,
) -> Result<()> {
    let record =
        RunRecord::begins(jiff::Timestamp::now(), cluster::here(), session.declared.revision.clone());
    let identity = Identity::declared(&session.declared.cluster, &session.declared.settings);
    let gate = LockGate::new(session.cluster.clone(), identity, record.clone());
    gate.pass(&|said| out::say(&said)).await?;
    let began = std::time::Instant::now();
    let result = remove(args, removal, cancel, &gate).await;
    let removed = if result.is_ok() { removal.plan.count() } else { 0 };
    let end = RunEnd {
        outcome: if result.is_ok() { "cleaned" } else { "clean failed" }.to_owned(),
        seconds: began.elapsed().as_secs_f64(),
        changed: removed,
        unchanged: 0,
        steps: Vec::new(),
    };
    let written = session.cluster.record_run(&record.ends(end)).await;
    let forgotten =
        if result.is_ok() && session.is_whole { session.cluster.forget_identity().await } else { Ok(()) };
    let released = gate.release().await;
    result.and(written).and(forgotten).and(released)?;
    out::say(&format!("{}: {} removed", args.cluster, count(removed, "object")));
    Ok(())
}

async fn remove(args: &CleanArgs, removal: &Removal<'_>, cancel: &Cancel, gate: &LockGate) -> Result<()> {
    let unmake = Unmake {
        patience: args.selection.inactivity.unwrap_or(PATIENCE),
        release_finalizers: args.release_finalizers,
        say: &|said| out::say(&said),
    };
    let all = async {
        removal.plan.through_flux(&unmake).await?;
        for (planned, made) in &removal.steps {
            // What is only CRDs and namespaces goes last.
            if Plan::goes_by_its_step(made) {
                planned.step.unmake(&unmake).await?;
            }
        }
        removal.plan.rest(&unmake).await?;
        removal.plan.require_gone().await
    };
    let requested = cancel.requested();
    tokio::select! {
        result = all => result,
        failure = gate.lost() => Err(failure),
        () = requested.cancelled() => {
            Err(Failure::new(FailureKind::Cancelled, "stopped on request").hint("run it again: it goes on with what is left"))
        }
    }
}

fn text(answer: &Answer<'_>) -> String {
    let mut text = String::new();
    if answer.removes.is_empty() {
        let _ = writeln!(text, "{}: nothing that the bootstrap has made is there", answer.cluster);
    }
    for Part { step, by, what } in answer.removes {
        let _ = writeln!(text, "{step}  {}, removed by {by}", what.summary);
        for change in &what.changes {
            let told: Vec<&str> =
                [&change.subject].into_iter().chain(&change.details).map(String::as_str).collect();
            let _ = writeln!(text, "  - {}", told.join(", "));
        }
    }
    for stays in answer.stays {
        let _ = writeln!(text, "stays: {stays}");
    }
    for step in &answer.unknown_steps {
        let _ = writeln!(text, "{step}  changed something once, and is no step any more: look there by hand");
    }
    text
}
