//! One line for each thing that happens: for logs, pipes and CI.

use std::collections::HashMap;
use std::io::Write as _;

use tokio::sync::mpsc::UnboundedReceiver;

use super::board::since;
use super::failure;
use super::words::duration;
use crate::engine::{Cause, Event, EventKind, RunSummary, StepId, StepOutcome};
use crate::words::count;

pub(super) async fn render(mut events: UnboundedReceiver<Event>, quiet: bool) {
    let mut lines = Lines::new(quiet);
    while let Some(event) = events.recv().await {
        let mut stderr = std::io::stderr().lock();
        for line in lines.of(&event) {
            let _ = writeln!(stderr, "{line}");
        }
    }
}

#[derive(Default)]
pub(super) struct Lines {
    quiet: bool,
    began: Option<jiff::Timestamp>,
    waits: HashMap<StepId, Vec<String>>,
}

impl Lines {
    pub(super) fn new(quiet: bool) -> Self {
        Self { quiet, ..Self::default() }
    }

    pub(super) fn of(&mut self, event: &Event) -> Vec<String> {
        if let EventKind::RunStarted { .. } = event.kind {
            self.began = Some(event.at);
        }
        let said = self.said(event);
        let elapsed = self.began.map(|began| since(began, event.at)).unwrap_or_default();
        let tenths = elapsed.as_millis() / 100;
        let clock = format!("{}.{}", tenths / 10, tenths % 10);
        let step = event.step.as_ref().map(|step| format!("{step}  ")).unwrap_or_default();
        said.into_iter().map(|said| format!("[{clock:>6}s] {step}{said}")).collect()
    }

    fn said(&mut self, event: &Event) -> Vec<String> {
        match &event.kind {
            EventKind::StepFinished { outcome: StepOutcome::Failed, failure, cause } => {
                let mut said = vec!["failed".to_owned()];
                if let Some(why) = failure {
                    said.extend(failure::text(why, false).lines().map(str::to_owned));
                }
                said.extend(cause.iter().flat_map(cause_lines));
                said
            }
            EventKind::RunFinished { summary } => vec![end(summary)],
            _ if self.quiet => Vec::new(),
            EventKind::RunStarted { headline, stages } => {
                let mut said = vec![headline.clone()];
                said.extend(stages.iter().map(|stage| {
                    let planned = stage.steps.iter().filter(|step| step.skip.is_none());
                    let titles: Vec<&str> = planned.map(|step| step.title.as_str()).collect();
                    format!("plan: {}: {}", stage.name, titles.join(", "))
                }));
                said
            }
            EventKind::StepSaid { message } => vec![message.clone()],
            EventKind::StepActed { changes } => vec![changes.summary.clone()],
            EventKind::StepWaiting { reasons } => self.waiting(event.step.as_ref(), reasons),
            EventKind::AttemptFailed { failure, next_in } => {
                vec![format!("attempt {} failed: {failure}; next in {}", event.attempt, duration(*next_in))]
            }
            EventKind::StepFinished { outcome, .. } => vec![ended(outcome, event)],
            EventKind::CancelRequested => vec!["stopping: what is in flight comes to an end".to_owned()],
            EventKind::StepStarted | EventKind::StepObserved { .. } => Vec::new(),
        }
    }

    /// Only what was not said before: a line is never taken back.
    fn waiting(&mut self, step: Option<&StepId>, reasons: &[String]) -> Vec<String> {
        let Some(step) = step else { return Vec::new() };
        let before = self.waits.insert(step.clone(), reasons.to_vec()).unwrap_or_default();
        let new = reasons.iter().filter(|reason| !before.contains(reason));
        new.map(|reason| format!("waits: {reason}")).collect()
    }
}

fn ended(outcome: &StepOutcome, event: &Event) -> String {
    let took = duration(event.step_elapsed);
    match outcome {
        StepOutcome::Unchanged { summary } => format!("unchanged: {summary} ({took})"),
        StepOutcome::Changed { summary } => format!("done: {summary} ({took})"),
        StepOutcome::Awaited { summary } => format!("{summary} ({took})"),
        StepOutcome::Warning { summary } => format!("warning: {summary} ({took})"),
        StepOutcome::Skipped { reason } => format!("skipped: {reason}"),
        StepOutcome::Failed => format!("failed ({took})"),
        StepOutcome::NotStarted => "not started".to_owned(),
    }
}

fn cause_lines(cause: &Cause) -> Vec<String> {
    let code = cause.code.as_ref().map(|code| format!("[{code}]")).unwrap_or_default();
    let mut lines = vec![format!("cause{code}: {}", cause.cause)];
    lines.extend(cause.evidence.iter().map(|fact| format!("  evidence: {fact}")));
    lines.extend(cause.declared_in.iter().map(|place| format!("  declared in: {place}")));
    lines.extend(cause.remedy.iter().map(|remedy| format!("  do: {remedy}")));
    lines
}

fn end(summary: &RunSummary) -> String {
    let open = summary.steps.iter().filter(|(_, outcome)| !outcome.lets_others_start()).count();
    let took = duration(summary.elapsed);
    if open == 0 {
        format!("{} done in {took}", count(summary.steps.len(), "step"))
    } else {
        format!("{} of {} not done, after {took}", open, count(summary.steps.len(), "step"))
    }
}
