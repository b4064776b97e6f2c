//! `bootstrapper status`: what is ready, and what each step is waiting for.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::join_all;
use serde::Serialize;

use super::args::{Output, StatusArgs};
use super::header::header;
use super::out;
use super::sandbox;
use super::session::Session;
use bootstrapper_core::failure::{Failure, FailureKind, Result, Retry};
use bootstrapper_core::verdict::{Readiness, Verdict};
use bootstrapper_engine::{Diff, Observation, PlannedStep, Step, Work};
use bootstrapper_report as report;

#[derive(Serialize)]
struct StepStatus {
    step: String,
    title: String,
    #[serde(flatten)]
    readiness: Readiness,
    /// The steps that could not be checked, with the error.
    #[serde(skip)]
    failure: Option<Failure>,
}

/// An upper limit: a watch yields its state or an error long before.
const LIMIT: Duration = Duration::from_mins(1);

/// The pause between two looks of `--watch`. Steps are compared by requests of many kinds, of which not all have
/// a watch.
const PAUSE: Duration = Duration::from_secs(2);

pub(super) async fn status(args: &StatusArgs) -> Result<()> {
    let StatusArgs { plan: args, watch } = args;
    let rehearsal = sandbox::running(&args.cluster, args.sandbox)?;
    let session = Session::open(&args.cluster, &args.target, &args.selection, rehearsal.as_ref()).await?;
    if args.output.output == Output::Text {
        let history = session.cluster.history().await;
        out::text(&report::header_text(&header(&session, &history).await))?;
    }
    let mut before = String::new();
    loop {
        let steps = session.graph.steps().filter(|step| step.skip_reason().is_none());
        let statuses: Vec<StepStatus> = join_all(steps.map(status_of)).await;
        before = show(&statuses, args.output.output, &before)?;
        let result = outcome(&statuses, &args.cluster);
        if result.is_ok() || !watch {
            return result;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Prints what has changed since `before`; returns the whole text.
fn show(statuses: &[StepStatus], output: Output, before: &str) -> Result<String> {
    let text = match output {
        Output::Json => serde_json::to_string(statuses)
            .map_err(|error| Failure::internal("cannot encode the status as JSON").caused_by(&error))?,
        Output::Text => report::status_text(statuses.iter().map(|status| report::StatusLine {
            step: &status.step,
            title: &status.title,
            readiness: &status.readiness,
        })),
    };
    match output {
        _ if text == before => {}
        Output::Json => out::json(&statuses)?,
        Output::Text => out::text(&changed(before, &text))?,
    }
    Ok(text)
}

/// The lines of a text that another one does not have.
fn changed(before: &str, text: &str) -> String {
    let known: BTreeSet<&str> = before.split_inclusive('\n').collect();
    text.split_inclusive('\n').filter(|line| !known.contains(line)).collect()
}

fn outcome(statuses: &[StepStatus], cluster: &str) -> Result<()> {
    let unready = statuses.iter().filter(|status| !status.readiness.verdict.is_ready()).count();
    if unready == 0 {
        return Ok(());
    }
    // A missing permission is an error, not "not ready".
    let hidden = statuses
        .iter()
        .filter_map(|status| status.failure.as_ref())
        .find(|failure| failure.kind == FailureKind::Connection);
    let kind = hidden.map_or(FailureKind::Step, |failure| failure.kind);
    let failure =
        Failure::new(kind, format!("{unready} of {} steps of {cluster} are not ready", statuses.len()));
    let failure = hidden
        .into_iter()
        .fold(failure, |failure, hidden| Failure { hints: hidden.hints.clone(), ..failure.because(hidden) });
    Err(failure.hint(format!("`bootstrapper plan {cluster}` shows what a run would change")))
}

/// Missing objects are not ready, whatever the state of the existing ones.
async fn status_of(planned: &PlannedStep) -> StepStatus {
    let mut hidden = None;
    let readiness = match &planned.work {
        Work::Step(step) => match readiness_of(&**step).await {
            Ok(readiness) => readiness,
            Err(failure) => of_failure(failure, &mut hidden).into(),
        },
        Work::Impossible { failure, .. } => of_failure(failure.clone(), &mut hidden).into(),
        Work::Skipped { reason } => Verdict::not_yet(reason.as_str()).into(),
    };
    StepStatus { step: planned.id.to_string(), title: planned.title.clone(), readiness, failure: hidden }
}

async fn readiness_of(step: &dyn Step) -> Result<Readiness> {
    Ok(match step.observe().await? {
        Observation::Missing(diff) => to_do(&diff).into(),
        Observation::Drifted(diff) => {
            // What is there may be wrong in other ways: objects that failed, beside the one to be asked for.
            let live = tokio::time::timeout(LIMIT, step.settle().next()).await;
            with_live(to_do(&diff), live.ok().flatten().and_then(Result::ok))
        }
        Observation::Blocked { by } => Verdict::not_yet(format!("waiting for {by}")).into(),
        Observation::Awaited { waits_for, progress } => {
            Readiness { progress, ..Verdict::NotYet(waits_for).into() }
        }
        Observation::Satisfied { .. } => match tokio::time::timeout(LIMIT, step.settle().next()).await {
            Ok(Some(readiness)) => readiness?,
            Ok(None) => Readiness::ready(),
            Err(_) => Verdict::not_yet("the API server does not answer").into(),
        },
    })
}

fn to_do(diff: &Diff) -> Verdict {
    Verdict::not_yet(format!("to do: {}", diff.summary))
}

/// What is to be done, and what is not ready. None of that is final: the step may change it.
fn with_live(to_do: Verdict, live: Option<Readiness>) -> Readiness {
    let Some(live) = live else { return to_do.into() };
    let verdict = match live.verdict {
        Verdict::Ready => to_do,
        Verdict::NotYet(reasons) | Verdict::Never(reasons) => to_do.and(Verdict::NotYet(reasons)),
    };
    Readiness { verdict, ..live }
}

/// A step that cannot be observed is not ready, and can never be if a retry cannot help.
fn of_failure(failure: Failure, hidden: &mut Option<Failure>) -> Verdict {
    let why = failure.to_string();
    let is_final = failure.retry == Retry::Useless && failure.kind == FailureKind::Connection;
    *hidden = Some(failure);
    if is_final { Verdict::never(why) } else { Verdict::not_yet(why) }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use bootstrapper_engine::{Act, Cause, Changes, Owned, Stuck, Teardown, Undo};
    use futures::stream::{self, BoxStream};

    use super::*;

    /// A step with something to do, whose objects are in this state.
    struct Drifted(Verdict);

    #[async_trait]
    impl Undo for Drifted {
        async fn owned(&self) -> Result<Owned> {
            Ok(Owned::default())
        }

        async fn teardown(&self, _: &Teardown<'_>) -> Result<Changes> {
            Ok(Changes::default())
        }
    }

    #[async_trait]
    impl Step for Drifted {
        async fn observe(&self) -> Result<Observation> {
            let summary = "request reconciliation of a".to_owned();
            Ok(Observation::Drifted(Diff { summary, ..Diff::default() }))
        }

        async fn act(&self, _: Act<'_>) -> Result<Changes> {
            Ok(Changes::default())
        }

        fn settle(&self) -> BoxStream<'_, Result<Readiness>> {
            let readiness = Readiness { due: true, ..self.0.clone().into() };
            stream::once(async { Ok(readiness) }).boxed()
        }

        async fn explain(&self, _: Stuck<'_>) -> Vec<Cause> {
            Vec::new()
        }
    }

    #[test]
    fn only_changed_lines_are_repeated() {
        assert_eq!(changed("", "a\nb\n"), "a\nb\n");
        assert_eq!(changed("a\nb\n1 ready.\n", "a\nc\n2 ready.\n"), "c\n2 ready.\n");
    }

    #[tokio::test]
    async fn what_is_to_be_done_hides_nothing_that_is_not_ready() {
        let to_do = "to do: request reconciliation of a";
        for (live, expected) in [
            (Verdict::Ready, vec![to_do]),
            (Verdict::not_yet("b failed"), vec![to_do, "b failed"]),
            (Verdict::never("c is stalled"), vec![to_do, "c is stalled"]),
        ] {
            let readiness = readiness_of(&Drifted(live)).await.unwrap();
            assert!(matches!(readiness.verdict, Verdict::NotYet(_)));
            assert_eq!(readiness.verdict.texts(), expected);
        }
    }
}
