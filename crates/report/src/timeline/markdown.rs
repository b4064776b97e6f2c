//! The timeline as Markdown: for a terminal, a pull request or an issue.

use std::fmt::Write as _;
use std::time::Duration;

use super::{Comparison, StepTrack, Timeline};
use crate::words::duration;
use bootstrapper_core::output::one_line;
use bootstrapper_core::words::count;

/// The maximum number of waits per step.
const WAITS: usize = 3;

/// The timeline as Markdown.
pub fn markdown(timeline: &Timeline) -> String {
    let mut text = format!(
        "# {}: {} {} {}\n\n",
        cell(&timeline.run.cluster),
        cell(&timeline.outcome),
        if timeline.outcome == "succeeded" { "in" } else { "after" },
        took(timeline.seconds)
    );
    let _ = writeln!(text, "{}\n", cell(&about(timeline)));
    let _ = writeln!(text, "{}\n", totals(timeline));
    critical(&mut text, timeline);
    steps(&mut text, timeline);
    notes(&mut text, timeline);
    if let Some(previous) = &timeline.previous {
        differences(&mut text, timeline, previous);
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// The cluster, its server and revision, when, and who.
pub(super) fn about(timeline: &Timeline) -> String {
    let run = &timeline.run;
    let started = run.started.strftime("%Y-%m-%d %H:%M:%SZ");
    format!("{} · {started} · {} · bootstrapper {}", run.headline, run.by, run.version)
}

/// Objects and requests.
pub(super) fn totals(timeline: &Timeline) -> String {
    let requests = &timeline.requests;
    let retried = match requests.repeated {
        0 => String::new(),
        repeated => format!(", {} retried", count(repeated, "request")),
    };
    format!(
        "{} changed, {} as declared; {}, {}{retried}",
        count(timeline.changed, "object"),
        timeline.unchanged,
        count(requests.reads, "read"),
        count(requests.writes, "write"),
    )
}

/// `1m02s (35%) less than the run of …`.
pub(super) fn difference(timeline: &Timeline, previous: &Comparison) -> String {
    let started = previous.started.strftime("%Y-%m-%d %H:%M:%SZ");
    let by = timeline.seconds - previous.seconds;
    let than = if by < 0.0 { "faster than" } else { "slower than" };
    let said = if by.abs() < 0.05 { "as fast as".to_owned() } else { format!("{} {than}", took(by.abs())) };
    format!(
        "{said} the run of {started} ({}, {}, {} changed)",
        took(previous.seconds),
        previous.outcome,
        count(previous.changed, "object")
    )
}

fn critical(text: &mut String, timeline: &Timeline) {
    if timeline.critical_path.is_empty() {
        return;
    }
    let whole: f64 = timeline.critical_path.iter().map(|step| step.seconds).sum();
    let _ = writeln!(text, "## Critical path: {} of {}\n", took(whole), took(timeline.seconds));
    text.push_str("| step | took | bounded by |\n| --- | ---: | --- |\n");
    for step in &timeline.critical_path {
        let _ =
            writeln!(text, "| {} | {} | {} |", cell(&step.step), took(step.seconds), cell(&step.bounded_by));
    }
    text.push('\n');
}

fn steps(text: &mut String, timeline: &Timeline) {
    text.push_str(
        "## Steps\n\n| step | outcome | started | took | waited for |\n| --- | --- | ---: | ---: | --- |\n",
    );
    for track in timeline.steps() {
        let waits: Vec<String> = track
            .waits
            .iter()
            .take(WAITS)
            .map(|wait| format!("{} ({})", cell(&wait.reason), took(wait.seconds)))
            .collect();
        let (start, length) = match track.start {
            Some(start) => (took(start), took(track.seconds)),
            None => ("-".to_owned(), "-".to_owned()),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {start} | {length} | {} |",
            cell(&track.step),
            cell(&outcome(track)),
            waits.join("; ")
        );
    }
    text.push('\n');
}

/// The outcome, with what was done or why not.
pub(super) fn outcome(track: &StepTrack) -> String {
    if track.summary.is_empty() || track.summary == track.outcome {
        return track.outcome.clone();
    }
    format!("{}: {}", track.outcome, track.summary)
}

fn notes(text: &mut String, timeline: &Timeline) {
    let noted: Vec<&StepTrack> =
        timeline.steps().filter(|track| !(track.notes.is_empty() && track.retries.is_empty())).collect();
    if noted.is_empty() {
        return;
    }
    text.push_str("## Retries, warnings and causes\n\n");
    for track in noted {
        let _ = writeln!(text, "- {}", cell(&track.step));
        for retry in &track.retries {
            let _ = writeln!(
                text,
                "  - attempt {} failed at {}: {}; retried after {}",
                retry.attempt,
                took(retry.at),
                cell(&retry.reason),
                took(retry.pause)
            );
        }
        for note in &track.notes {
            let _ = writeln!(text, "  - {}", cell(note));
        }
    }
    text.push('\n');
}

fn differences(text: &mut String, timeline: &Timeline, previous: &Comparison) {
    let _ =
        writeln!(text, "## Compared with the previous run\n\n{}\n", cell(&difference(timeline, previous)));
    let notable: Vec<_> = previous.steps.iter().filter(|step| step.is_notable()).collect();
    if notable.is_empty() {
        text.push_str("every step took about as long\n");
        return;
    }
    text.push_str("| step | before | now |\n| --- | ---: | ---: |\n");
    for step in notable {
        let shown = |seconds: Option<f64>| seconds.map_or("-".to_owned(), took);
        let _ = writeln!(text, "| {} | {} | {} |", cell(&step.step), shown(step.before), shown(step.now));
    }
}

/// Seconds, as people say them.
pub(super) fn took(seconds: f64) -> String {
    duration(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default())
}

/// A text that Markdown neither splits nor renders: on one line, and without markup.
fn cell(text: &str) -> String {
    let mut cell = String::with_capacity(text.len());
    for one in one_line(text).chars() {
        match one {
            '<' => cell.push_str("&lt;"),
            '|' | '*' | '_' | '`' | '[' | ']' => {
                cell.push('\\');
                cell.push(one);
            }
            one => cell.push(one),
        }
    }
    cell
}
