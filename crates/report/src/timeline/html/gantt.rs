//! The bars: a row for each step, grouped by stage, over one scale.

use std::fmt::Write as _;

use super::super::markdown::{outcome, took};
use super::super::{PhaseKind, StageTrack, StepTrack, Timeline};
use super::markup::{escaped, percent};
use super::requests;

/// The maximum number of marks of the scale.
const MARKS: f64 = 8.0;
/// Distances between marks, in seconds.
const DISTANCES: [f64; 14] =
    [0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];
/// The number of waits that are not folded away.
const WAITS: usize = 8;

pub(super) fn section(page: &mut String, timeline: &Timeline) {
    page.push_str("<section id=\"timeline\">\n<h2>Timeline</h2>\n<p class=\"legend\">");
    for kind in PhaseKind::ALL {
        let _ = write!(page, "<span><i class=\"bar {0}\"></i> {0}</span> ", kind.name());
    }
    page.push_str(
        "<span><i class=\"bar failed\"></i> failed attempt</span> <span>★ critical path</span></p>\n",
    );
    scale(page, timeline.seconds);
    requests::lane(page, timeline);
    for stage in &timeline.stages {
        stage_rows(page, timeline, stage);
    }
    page.push_str("</section>\n");
}

/// The marks of the scale.
fn scale(page: &mut String, whole: f64) {
    let longest = (whole / MARKS / 3600.0).ceil() * 3600.0;
    let distance = DISTANCES.into_iter().find(|distance| whole / distance <= MARKS).unwrap_or(longest);
    page.push_str("<div class=\"row scale\"><span class=\"name\"></span><div class=\"track\">");
    let marks = (0..=8_u8).map(|number| f64::from(number) * distance).take_while(|at| *at <= whole);
    for (number, at) in marks.enumerate() {
        let class = if number % 2 == 0 { "mark" } else { "mark minor" };
        let _ = write!(
            page,
            "<span class=\"{class}\" style=\"left:{}%\">{}</span>",
            percent(at, whole),
            took(at)
        );
    }
    page.push_str("</div><span class=\"time\"></span></div>\n");
}

fn stage_rows(page: &mut String, timeline: &Timeline, stage: &StageTrack) {
    let starts = stage.steps.iter().filter_map(|step| step.start).min_by(f64::total_cmp);
    let ends = stage.steps.iter().filter_map(StepTrack::end).max_by(f64::total_cmp);
    let (bar, time) = match (starts, ends) {
        (Some(start), Some(end)) => {
            (bar("whole", start, end - start, timeline.seconds, ""), took(end - start))
        }
        _ => (String::new(), "-".to_owned()),
    };
    let _ = writeln!(
        page,
        "<div class=\"row stage\"><h3 class=\"name\">{}</h3><div class=\"track\">{bar}</div><span class=\"time\">{time}</span></div>",
        escaped(&stage.name),
    );
    for step in &stage.steps {
        step_row(page, timeline, step);
    }
}

fn step_row(page: &mut String, timeline: &Timeline, step: &StepTrack) {
    let whole = timeline.seconds;
    let is_critical = timeline.critical_path.iter().any(|critical| critical.step == step.step);
    let mut bars = String::new();
    for phase in &step.phases {
        let title = format!("{} {} {}", phase.kind.name(), took(phase.seconds), phase.text);
        bars.push_str(&bar(phase.kind.name(), phase.start, phase.seconds, whole, &title));
    }
    for retry in &step.retries {
        let title = format!("attempt {} failed: {}", retry.attempt, retry.reason);
        bars.push_str(&bar("failed", retry.at, 0.0, whole, &title));
    }
    let time = step.start.map_or_else(|| "-".to_owned(), |_| took(step.seconds));
    let name = step.step.split_once('/').map_or(step.step.as_str(), |(_, name)| name);
    let class = match step.outcome.as_str() {
        "failed" => "bad",
        "skipped" | "not started" => "none",
        "done, with warnings" | "running" => "warn",
        _ => "good",
    };
    let _ = writeln!(
        page,
        "<details class=\"step {class}\"><summary class=\"row\"><span class=\"name\">{}{}</span><span class=\"track\">{bars}</span><span class=\"time\">{time}</span></summary>",
        escaped(name),
        if is_critical { " ★" } else { "" },
    );
    let _ = writeln!(page, "<p><code>{}</code> {}</p>", escaped(&step.step), escaped(&step.title));
    let _ = writeln!(page, "<p>{}</p>", escaped(&outcome(step)));
    about(page, step);
    page.push_str("</details>\n");
}

/// The waits, retries and notes of a step.
fn about(page: &mut String, step: &StepTrack) {
    let wait = |wait: &super::super::Wait| format!("{} {}", took(wait.seconds), wait.reason);
    let (shown, rest) = step.waits.split_at(step.waits.len().min(WAITS));
    list(page, "waited for", shown.iter().map(wait));
    if !rest.is_empty() {
        let _ = writeln!(page, "<details><summary>and {} more</summary>", rest.len());
        list(page, "", rest.iter().map(wait));
        page.push_str("</details>\n");
    }
    let retries = step.retries.iter().map(|retry| {
        let (at, pause) = (took(retry.at), took(retry.pause));
        format!("attempt {} failed at {at}: {}; retried after {pause}", retry.attempt, retry.reason)
    });
    list(page, "retries", retries);
    list(page, "notes", step.notes.iter().cloned());
}

fn list(page: &mut String, title: &str, items: impl ExactSizeIterator<Item = String>) {
    if items.len() == 0 {
        return;
    }
    if !title.is_empty() {
        let _ = writeln!(page, "<p class=\"title\">{title}</p>");
    }
    page.push_str("<ul>\n");
    for item in items {
        let _ = writeln!(page, "<li>{}</li>", escaped(&item));
    }
    page.push_str("</ul>\n");
}

fn bar(class: &str, start: f64, seconds: f64, whole: f64, title: &str) -> String {
    format!(
        "<i class=\"bar {class}\" style=\"left:{}%;width:{}%\" title=\"{}\"></i>",
        percent(start, whole),
        percent(seconds, whole),
        escaped(title.trim())
    )
}
