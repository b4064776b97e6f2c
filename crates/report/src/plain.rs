//! One line per event: for logs, pipes and CI.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedReceiver;

use super::board::since;
use super::patience::Causes;
use super::waits::{Wait, Waits};
use super::words::duration;
use super::{causes, failure};
use bootstrapper_core::output;
use bootstrapper_core::words::count;
use bootstrapper_engine::{Cause, Event, EventKind, RunSummary, StepId, StepOutcome};

/// The interval for checking suppressed waits.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(super) async fn render(mut events: UnboundedReceiver<Event>, quiet: bool) {
    let mut lines = Lines::new(quiet);
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        let due = tokio::select! {
            event = events.recv() => match event {
                Some(event) => lines.of(&event),
                None => break,
            },
            _ = looks.tick() => lines.due(Timestamp::now()),
        };
        for line in due {
            output::err(&format!("{line}\n"));
        }
    }
}

/// The parts of a cause that stay constant: its code, its chain, and whether it passes.
type Told = (Option<String>, Vec<String>, bool);

#[derive(Default)]
pub(super) struct Lines {
    quiet: bool,
    began: Option<Timestamp>,
    waits: Waits,
    /// The causes of each waiting step.
    causes: BTreeMap<StepId, Causes>,
    /// The causes that each step has shown, by their constant parts.
    explained: BTreeMap<StepId, Vec<Told>>,
}

impl Lines {
    pub(super) fn new(quiet: bool) -> Self {
        Self { quiet, ..Self::default() }
    }

    pub(super) fn of(&mut self, event: &Event) -> Vec<String> {
        if let EventKind::RunStarted { .. } = event.kind {
            self.began = Some(event.at);
        }
        let texts = self.texts(event);
        texts.into_iter().map(|text| self.line(event.at, event.step.as_ref(), &text)).collect()
    }

    /// Suppressed waits that are due at `now`.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<String> {
        let mut due = self.waits.due(now);
        let steps: Vec<StepId> = self.causes.keys().cloned().collect();
        for step in steps {
            due.extend(self.news(&step, now).into_iter().map(|text| (step.clone(), text)));
        }
        due.into_iter().map(|(step, text)| self.line(now, Some(&step), &text)).collect()
    }

    fn line(&self, at: Timestamp, step: Option<&StepId>, text: &str) -> String {
        line(self.began, at, step, text)
    }

    /// Causes that were not shown yet. A changed duration is not new.
    fn news(&mut self, step: &StepId, now: Timestamp) -> Vec<String> {
        let Some(causes) = self.causes.get(step) else { return Vec::new() };
        let shown = self.explained.entry(step.clone()).or_default();
        let mut texts = Vec::new();
        for cause in causes.due(now) {
            let key = (cause.code.clone(), cause.chain.clone(), cause.transient);
            if !shown.contains(&key) {
                shown.push(key);
                texts.extend(cause_lines(cause));
            }
        }
        texts
    }

    fn texts(&mut self, event: &Event) -> Vec<String> {
        if let (Some(step), EventKind::StepFinished { .. }) = (&event.step, &event.kind) {
            self.waits.ended(step);
            self.causes.remove(step);
        }
        match &event.kind {
            EventKind::StepFinished { outcome: StepOutcome::Failed, failure, causes } => {
                let mut texts = vec!["failed".to_owned()];
                if let Some(why) = failure {
                    texts.extend(failure::text(why, false).lines().map(str::to_owned));
                }
                texts.extend(causes.iter().flat_map(cause_lines));
                texts
            }
            EventKind::RunFinished { summary } => vec![end(summary)],
            _ if self.quiet => Vec::new(),
            EventKind::RunStarted { headline, stages } => {
                let mut texts = vec![headline.clone()];
                texts.extend(stages.iter().map(|stage| {
                    let planned = stage.steps.iter().filter(|step| step.skip.is_none());
                    let titles: Vec<&str> = planned.map(|step| step.title.as_str()).collect();
                    format!("plan: {}: {}", stage.name, titles.join(", "))
                }));
                texts
            }
            EventKind::StepSaid { message } => vec![message.clone()],
            EventKind::StepActed { changes } => vec![changes.summary.clone()],
            EventKind::StepWaiting { reasons, progress } => match &event.step {
                Some(step) => {
                    let reasons = reasons.iter().map(ToString::to_string).collect();
                    self.waits.record(step, Wait { reasons, progress: *progress }, event.at)
                }
                None => Vec::new(),
            },
            EventKind::StepExplained { causes } => match &event.step {
                Some(step) => {
                    self.causes.entry(step.clone()).or_default().replace(causes, event.at);
                    self.news(step, event.at)
                }
                None => Vec::new(),
            },
            EventKind::AttemptFailed { failure, next_in } => {
                vec![format!(
                    "attempt {} failed: {failure}; retrying in {}",
                    event.attempt,
                    duration(*next_in)
                )]
            }
            EventKind::StepFinished { outcome, .. } => vec![ended(outcome, event)],
            EventKind::CancelRequested => vec!["stopping after in-flight operations".to_owned()],
            EventKind::StepStarted | EventKind::StepObserved { .. } => Vec::new(),
        }
    }
}

/// A line with its time since the run `began`, and its step.
pub(super) fn line(began: Option<Timestamp>, at: Timestamp, step: Option<&StepId>, text: &str) -> String {
    let elapsed = began.map(|began| since(began, at)).unwrap_or_default();
    let tenths = elapsed.as_millis() / 100;
    let clock = format!("{}.{}", tenths / 10, tenths % 10);
    let step = step.map(|step| format!("{step}  ")).unwrap_or_default();
    format!("[{clock:>6}s] {step}{}", output::one_line(text))
}

fn ended(outcome: &StepOutcome, event: &Event) -> String {
    let took = duration(event.step_elapsed);
    match outcome {
        StepOutcome::Unchanged { summary } => format!("unchanged: {summary} ({took})"),
        StepOutcome::Changed { summary } => format!("done: {summary} ({took})"),
        StepOutcome::Awaited { summary } => format!("{summary} ({took})"),
        StepOutcome::Warning { summary, .. } => format!("warning: {summary} ({took})"),
        StepOutcome::Skipped { reason } => format!("skipped: {reason}"),
        StepOutcome::Failed => format!("failed ({took})"),
        StepOutcome::NotStarted => "not started".to_owned(),
    }
}

fn cause_lines(cause: &Cause) -> Vec<String> {
    let parts = causes::parts(cause).into_iter().map(|(label, text)| match label {
        "" => format!("  {text}"),
        label => format!("  {label}: {text}"),
    });
    std::iter::once(causes::headline(cause)).chain(parts).collect()
}

fn end(summary: &RunSummary) -> String {
    let (open, planned) = (summary.open(), summary.planned());
    let took = duration(summary.elapsed);
    let skipped = match summary.skipped() {
        0 => String::new(),
        skipped => format!(", {skipped} skipped"),
    };
    if open == 0 {
        format!("{} done in {took}{skipped}", count(planned, "step"))
    } else {
        format!("{open} of {} not done, after {took}{skipped}", count(planned, "step"))
    }
}
