//! The board as lines: state, time and width in, text out. Pure, so that tests see the same output as users.

use std::time::Duration;

use jiff::Timestamp;

use super::board::{Board, StageState, StepState};
use super::causes;
use super::words::{cut, duration, width};
use bootstrapper_core::words::count;
use bootstrapper_engine::StepOutcome;

const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/// The maximum number of additional lines for a running stage.
const DETAIL_LINES: usize = 4;
const TIME_WIDTH: usize = 7;
/// An expected time below this is not shown.
const WORTH_TELLING: Duration = Duration::from_secs(5);

/// The whole board at `now`, with lines of at most `columns`.
pub(super) fn view(board: &Board, now: Timestamp, columns: usize) -> Vec<String> {
    let steps = board.stages.iter().flat_map(|stage| &stage.steps).filter(|step| step.is_planned).count();
    let mut lines = vec![
        cut(&format!("{}  plan: {}", board.headline, count(steps, "step")), columns),
        time(board, now, columns),
    ];
    let name_width = board.stages.iter().map(|stage| width(&stage.name)).max().unwrap_or(0).max(14);
    let since = board.began.map(|began| super::board::since(began, now)).unwrap_or_default();
    for stage in &board.stages {
        stage_lines(&mut lines, board, stage, now, since, (name_width, columns));
    }
    if board.cancelled && board.summary.is_none() {
        lines.push(cut("stopping after in-flight operations; press Ctrl-C again to abort", columns));
    }
    lines
}

fn stage_lines(
    lines: &mut Vec<String>,
    board: &Board,
    stage: &StageState,
    now: Timestamp,
    since: Duration,
    (name_width, columns): (usize, usize),
) {
    let running: Vec<&StepState> = stage.steps.iter().filter(|step| step.runs()).collect();
    let (mark, said) = if !running.is_empty() {
        let frame = usize::try_from(since.as_millis() / 100).unwrap_or(0) % SPINNER.len();
        (SPINNER[frame], running_text(board, stage, &running, now))
    } else if stage.failed() {
        ('✗', stage.steps.iter().find(|s| s.failed()).map(failed_text).unwrap_or_default())
    } else if stage.finished() {
        ended(stage)
    } else {
        (
            '·',
            stage
                .steps
                .iter()
                .filter(|s| s.outcome.is_none() && s.is_planned)
                .map(|s| s.title.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        )
    };
    let took =
        if stage.started() { stage.elapsed(now).map(duration).unwrap_or_default() } else { String::new() };
    let room = columns.saturating_sub(name_width + 6 + TIME_WIDTH);
    let said = cut(&said, room);
    let line = format!("  {mark} {:name_width$}  {said:room$}{took:>TIME_WIDTH$}", stage.name);
    lines.push(cut(line.trim_end(), columns));

    for step in running.iter().take(DETAIL_LINES) {
        for (label, said) in does_now(step, DETAIL_LINES / running.len()) {
            lines.push(detail(label, &said, name_width, columns));
        }
        if let Some(cause) = step.causes.due(now).next() {
            let label = if cause.transient { "slow" } else { "cause" };
            lines.push(detail(label, &cause.cause, name_width, columns));
        }
    }
    for step in stage.steps.iter().filter(|step| step.failed()) {
        lines.extend(failed_lines(board, step, name_width, columns));
    }
}

/// The action or wait of a step, in at most `room` lines, each with its label.
fn does_now(step: &StepState, room: usize) -> Vec<(&str, String)> {
    let mut said = if step.now.len() <= room {
        step.now.clone()
    } else if room < 2 {
        vec![step.now.join("; ")]
    } else {
        let (shown, rest) = step.now.split_at(room - 1);
        shown.iter().cloned().chain([format!("and {} more", rest.len())]).collect()
    };
    said.retain(|line| !line.is_empty());
    let label = |index| if index == 0 { step.id.name.as_str() } else { "" };
    said.into_iter().enumerate().map(|(index, line)| (label(index), line)).collect()
}

/// How many steps have ended, the elapsed time, and the expected time of a run that changes something.
fn time(board: &Board, now: Timestamp, columns: usize) -> String {
    let Some(began) = board.began.filter(|_| board.summary.is_none()) else { return String::new() };
    let steps = || board.stages.iter().flat_map(|stage| &stage.steps).filter(|step| step.is_planned);
    let is_ended = |step: &&StepState| !matches!(step.outcome, None | Some(StepOutcome::NotStarted));
    let ended = steps().filter(is_ended).count();
    let took = duration(super::board::since(began, now));
    let expected = board.forecast.total.filter(|_| board.has_acted);
    let of = expected.map(|total| format!(" of about {}", duration(total))).unwrap_or_default();
    cut(&format!("  {ended}/{} steps, {took}{of}", steps().count()), columns)
}

/// A step's progress, its time and its expected time, as far as they are known and worth telling.
fn progress_text(board: &Board, step: &StepState, now: Timestamp) -> String {
    let progress = step.progress.map(|progress| progress.to_string());
    let expected = board.forecast.steps.step(&step.id.to_string());
    let expected = expected.filter(|expected| board.has_acted && *expected >= WORTH_TELLING);
    let time = expected.zip(step.began).map(|(expected, began)| {
        format!("{} of about {}", duration(super::board::since(began, now)), duration(expected))
    });
    let known: Vec<String> = progress.into_iter().chain(time).collect();
    if known.is_empty() { String::new() } else { format!(" ({})", known.join(", ")) }
}

fn running_text(board: &Board, stage: &StageState, running: &[&StepState], now: Timestamp) -> String {
    let done = stage.steps.iter().filter(|step| step.outcome.is_some()).count();
    let name = |step: &&StepState| format!("{}{}", step.title, progress_text(board, step, now));
    let names: Vec<String> = running.iter().map(name).collect();
    if stage.steps.len() == 1 {
        names.join(", ")
    } else {
        format!("{done}/{} · {}", stage.steps.len(), names.join(", "))
    }
}

/// The summary of a finished stage's steps.
fn ended(stage: &StageState) -> (char, String) {
    let mut said: Vec<String> = Vec::new();
    let (mut mark, mut skipped, mut not_started, mut ran) = ('✓', 0, 0, false);
    for step in &stage.steps {
        match &step.outcome {
            Some(StepOutcome::Warning { summary, .. }) => {
                mark = '!';
                ran = true;
                said.push(summary.clone());
            }
            Some(
                StepOutcome::Changed { summary }
                | StepOutcome::Unchanged { summary }
                | StepOutcome::Awaited { summary },
            ) => {
                ran = true;
                if !said.contains(summary) {
                    said.push(summary.clone());
                }
            }
            Some(StepOutcome::Skipped { .. }) => skipped += 1,
            Some(StepOutcome::NotStarted) => not_started += 1,
            Some(StepOutcome::Failed) | None => {}
        }
    }
    if skipped > 0 {
        said.push(format!("{skipped} skipped"));
    }
    if not_started > 0 {
        said.push(if not_started == stage.steps.len() {
            "not started".into()
        } else {
            format!("{not_started} not started")
        });
    }
    if not_started > 0 || !ran {
        mark = '-';
    }
    (mark, said.join(", "))
}

fn failed_text(step: &StepState) -> String {
    step.failure.as_ref().map_or_else(|| step.title.clone(), |failure| failure.what.clone())
}

fn detail(label: &str, said: &str, name_width: usize, columns: usize) -> String {
    // Keep one space after a long name.
    cut(&format!("      {label:wide$} {said}", wide = name_width.saturating_sub(1)), columns)
}

/// Cause, evidence, reasons, location and fix of a failed step, untruncated.
fn failed_lines(board: &Board, step: &StepState, name_width: usize, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |label: &str, texts: &[String]| {
        for (index, text) in texts.iter().flat_map(|text| text.lines()).enumerate() {
            let label = if index == 0 { label } else { "" };
            lines.push(detail(label, text, name_width, usize::MAX));
        }
    };
    for cause in &step.failed_by {
        say(if cause.transient { "slow" } else { "cause" }, std::slice::from_ref(&cause.cause));
        for (label, said) in causes::parts(cause) {
            say(label, &[said]);
        }
    }
    let failure = step.failure.as_ref();
    say("because", failure.map_or(&[], |failure| failure.because.as_slice()));
    if let Some(place) = failure.and_then(|failure| failure.location.as_ref()) {
        say("declared in", &[place.to_string()]);
    }
    say("do", failure.map_or(&[], |failure| failure.hints.as_slice()));
    let blocked: Vec<&str> = board
        .stages
        .iter()
        .filter(|stage| stage.name != step.id.stage)
        .filter(|stage| stage.steps.iter().any(|s| matches!(s.outcome, Some(StepOutcome::NotStarted))))
        .map(|stage| stage.name.as_str())
        .collect();
    if !blocked.is_empty() {
        say("blocks", &[blocked.join(", ")]);
    }
    let wrong = step.failed_by.iter().find(|cause| !cause.transient);
    if let Some((code, cause)) = wrong.and_then(|cause| Some((cause.code.as_ref()?, &cause.cause))) {
        lines.push(format!("error[{code}]: {cause}    bootstrapper explain {code}"));
    }
    // Only redrawn lines must fit; the final output is complete.
    if board.summary.is_none() {
        for line in &mut lines {
            *line = cut(line, columns);
        }
    }
    lines
}
