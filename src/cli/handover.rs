//! `bootstrapper handover`: forecasts what Flux will change at the hand-over, or shows what it changed.

use std::fmt::Write as _;

use serde::Serialize;

use super::args::{HandoverArgs, Output};
use super::out;
use super::sandbox;
use super::session::Session;
use super::show;
use bootstrapper_cluster::Requests;
use bootstrapper_core::failure::{Failure, FailureKind, Result};
use bootstrapper_steps::adoption::{Counts, Forecast, Ledger, OwnerComparison, Record, Verdict};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HandoverReport {
    cluster: String,
    counts: Counts,
    forecast: Forecast,
    /// The result of the adoption, if it has happened and the state before was recorded.
    adopted: Option<Adopted>,
    requests: Requests,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Adopted {
    verdict: Verdict,
    kept: Vec<OwnerComparison>,
    before: Record,
    now: Record,
}

pub(super) async fn handover(args: &HandoverArgs) -> Result<()> {
    let rehearsal = sandbox::running(&args.plan.cluster, args.plan.sandbox)?;
    let Session { cluster, declared, adoption, .. } =
        Session::open(&args.plan.cluster, &args.plan.target, &args.plan.selection, rehearsal.as_ref())
            .await?;
    let forecast = adoption.forecast().await?;
    let adopted = match adoption.ledger().await? {
        Some(ledger) if !forecast.owned.is_empty() => Some(adopted(ledger, adoption.record().await?)),
        _ => None,
    };
    let answer = HandoverReport {
        cluster: declared.cluster.clone(),
        counts: forecast.counts(),
        forecast,
        adopted,
        requests: cluster.requests(),
    };
    match args.plan.output.output {
        Output::Json => out::json(&answer)?,
        Output::Text => out::text(&text(&answer))?,
    }
    if args.check { check(&answer) } else { Ok(()) }
}

/// The recorded verdict; until there is one, the current state.
fn adopted(ledger: Ledger, now: Record) -> Adopted {
    let Ledger { before, verdict } = ledger;
    let verdict = verdict.unwrap_or_else(|| before.verdict(&now, jiff::Timestamp::now()));
    Adopted { verdict, kept: before.compare(&now), before, now }
}

fn text(answer: &HandoverReport) -> String {
    let mut text = show::forecast_text(&answer.forecast);
    if let Some(Adopted { verdict, kept, before, now }) = &answer.adopted {
        text.push('\n');
        text.push_str(&show::adopted_text(verdict, kept, before, now));
    }
    let Requests { reads, writes, .. } = answer.requests;
    let _ = writeln!(text, "\n{reads} reads and dry runs, {writes} writes");
    text
}

fn check(answer: &HandoverReport) -> Result<()> {
    let changed = answer.adopted.iter().flat_map(|adopted| adopted.verdict.differences.iter().cloned());
    let differences: Vec<String> = answer
        .forecast
        .differences()
        .map(bootstrapper_steps::adoption::ObjectForecast::describe)
        .chain(changed)
        .collect();
    if differences.is_empty() {
        return Ok(());
    }
    let what = format!("the hand-over of {} changes what the bootstrap installed", answer.cluster);
    Err(differences.into_iter().fold(Failure::new(FailureKind::Step, what), Failure::because))
}
