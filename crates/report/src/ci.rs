//! Few lines, in a foldable group per stage: for logs of CI. One line per step; a wait has lines only if it is long.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedReceiver;

use super::board::{Board, StepState, since};
use super::plain::{self, Lines};
use bootstrapper_core::output::{self, Runner};
use bootstrapper_core::words::count;
use bootstrapper_engine::{Event, EventKind, StepId, StepOutcome};

/// The interval for looking at waits.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A wait has a line after this long, and then each time after twice as long.
const FIRST: Duration = Duration::from_secs(30);
/// The maximum number of reasons per line.
const REASONS: usize = 2;

pub(super) async fn render(mut events: UnboundedReceiver<Event>, runner: Option<Runner>) {
    let mut log = Log::default();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        let parts = tokio::select! {
            event = events.recv() => match event {
                Some(event) => log.of(&event),
                None => break,
            },
            _ = looks.tick() => log.due(Timestamp::now()),
        };
        for part in parts {
            match (part, runner) {
                (Part::Line(line), _) => output::err(&format!("{line}\n")),
                (Part::Begin(stage), Some(runner)) => runner.begin_group(&stage),
                (Part::End(stage), Some(runner)) => runner.end_group(&stage),
                (Part::Begin(_) | Part::End(_), None) => {}
            }
        }
    }
}

/// A part of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Line(String),
    /// A group begins, with the name of its stage.
    Begin(String),
    End(String),
}

/// The log of a run, folded from its events. Pure.
#[derive(Default)]
pub(super) struct Log {
    board: Board,
    /// Formats failures and the end.
    lines: Lines,
    /// When the next line of a waiting step is due.
    next: BTreeMap<StepId, Duration>,
    groups: Groups,
}

impl Log {
    pub(super) fn of(&mut self, event: &Event) -> Vec<Part> {
        self.board.fold(event);
        let lines = self.lines.of(event);
        let mut parts = Vec::new();
        match (&event.kind, &event.step) {
            (EventKind::RunStarted { .. }, _) => {
                parts.extend(lines.into_iter().take(1).map(Part::Line));
                parts.push(Part::Line(self.line(event.at, &self.plan())));
            }
            (EventKind::StepFinished { outcome, .. }, Some(step)) => {
                self.next.remove(step);
                self.step_ended(step, outcome, lines, &mut parts);
            }
            (EventKind::AttemptFailed { .. }, Some(step)) => self.groups.line(&step.stage, lines, &mut parts),
            (EventKind::RunFinished { .. } | EventKind::CancelRequested, _) => {
                parts.extend(lines.into_iter().map(Part::Line));
            }
            _ => {}
        }
        parts
    }

    /// The lines of long waits.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<Part> {
        let mut parts = Vec::new();
        for step in self.board.stages.iter().flat_map(|stage| &stage.steps).filter(|step| step.runs()) {
            let waited = step.began.map(|began| since(began, now)).unwrap_or_default();
            let next = self.next.entry(step.id.clone()).or_insert(FIRST);
            if waited < *next {
                continue;
            }
            *next = waited * 2;
            let cause = step.causes.due(now).next().map(super::causes::headline);
            let texts = std::iter::once(now_text(step)).chain(cause);
            let lines = texts.map(|text| plain::line(self.board.began, now, Some(&step.id), &text));
            self.groups.line(&step.id.stage, lines.collect(), &mut parts);
        }
        parts
    }

    fn step_ended(
        &mut self,
        step: &StepId,
        outcome: &StepOutcome,
        lines: Vec<String>,
        parts: &mut Vec<Part>,
    ) {
        let is_failed = matches!(outcome, StepOutcome::Failed);
        match outcome {
            // The end counts them.
            StepOutcome::Skipped { .. } | StepOutcome::NotStarted => {}
            // Outside of the group, which is folded.
            StepOutcome::Failed => {
                self.groups.end(&step.stage, parts);
                parts.extend(lines.into_iter().map(Part::Line));
            }
            _ => self.groups.line(&step.stage, lines, parts),
        }
        let stage = self.board.stages.iter().find(|stage| stage.name == step.stage);
        if !is_failed && stage.is_some_and(super::board::StageState::finished) {
            self.groups.end(&step.stage, parts);
        }
    }

    /// `plan: 25 steps: preflight, crds, …`.
    fn plan(&self) -> String {
        let planned = |steps: &[StepState]| steps.iter().filter(|step| step.is_planned).count();
        let stages = self.board.stages.iter().filter(|stage| planned(&stage.steps) > 0);
        let names: Vec<&str> = stages.map(|stage| stage.name.as_str()).collect();
        let steps: usize = self.board.stages.iter().map(|stage| planned(&stage.steps)).sum();
        format!("plan: {}: {}", count(steps, "step"), names.join(", "))
    }

    fn line(&self, at: Timestamp, text: &str) -> String {
        plain::line(self.board.began, at, None, text)
    }
}

/// What a step does or waits for, in one line.
fn now_text(step: &StepState) -> String {
    let progress = step.progress.map(|progress| format!(" ({progress})")).unwrap_or_default();
    let (shown, rest) = step.now.split_at(step.now.len().min(REASONS));
    let more = if rest.is_empty() { String::new() } else { format!("; and {} more", rest.len()) };
    match shown {
        [] => format!("running: {}", step.title),
        _ => format!("running{progress}: {}{more}", shown.join("; ")),
    }
}

/// One group is open at a time; lines of other stages that run at the same time come after it.
#[derive(Default)]
struct Groups {
    open: Option<String>,
    /// The lines of other stages, in the order of their first line, and whether the stage has ended.
    later: Vec<(String, Vec<String>, bool)>,
}

impl Groups {
    fn line(&mut self, stage: &str, lines: Vec<String>, parts: &mut Vec<Part>) {
        if self.open.is_none() {
            parts.push(Part::Begin(stage.to_owned()));
            self.open = Some(stage.to_owned());
        }
        if self.open.as_deref() == Some(stage) {
            parts.extend(lines.into_iter().map(Part::Line));
            return;
        }
        match self.later.iter_mut().find(|(other, ..)| other == stage) {
            Some((_, known, _)) => known.extend(lines),
            None => self.later.push((stage.to_owned(), lines, false)),
        }
    }

    fn end(&mut self, stage: &str, parts: &mut Vec<Part>) {
        if self.open.as_deref() != Some(stage) {
            if let Some(other) = self.later.iter_mut().find(|(other, ..)| other == stage) {
                other.2 = true;
            }
            return;
        }
        parts.push(Part::End(stage.to_owned()));
        self.open = None;
        while self.open.is_none() && !self.later.is_empty() {
            let (next, lines, has_ended) = self.later.remove(0);
            self.line(&next, lines, parts);
            if has_ended {
                parts.push(Part::End(next));
                self.open = None;
            }
        }
    }
}
