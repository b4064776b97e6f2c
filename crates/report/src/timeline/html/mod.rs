//! The timeline as a page: one file without scripts, fonts or anything else from elsewhere.

mod gantt;
mod markup;
mod requests;

use std::fmt::Write as _;

use super::markdown::{about, difference, took, totals};
use super::{Comparison, CriticalStep, Timeline};
use bootstrapper_core::words::count;
use markup::escaped;

const STYLE: &str = include_str!("style.css");

/// Nothing is loaded, and no script runs, whatever a text contains.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The timeline as a page.
pub fn page(timeline: &Timeline) -> String {
    let title = format!("{}: {}", timeline.run.cluster, timeline.outcome);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{}\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        escaped(POLICY),
        escaped(&title)
    );
    header(&mut page, timeline);
    path(&mut page, timeline);
    gantt::section(&mut page, timeline);
    if let Some(previous) = &timeline.previous {
        comparison(&mut page, timeline, previous);
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn header(page: &mut String, timeline: &Timeline) {
    let is_good = ["succeeded", "reconciled"].contains(&timeline.outcome.as_str());
    let _ = write!(
        page,
        "<header>\n<h1>{} <span class=\"{}\">{}</span> {}</h1>\n<p>{}</p>\n<p>{}</p>\n",
        escaped(&timeline.run.cluster),
        if is_good { "good" } else { "bad" },
        escaped(&timeline.outcome),
        took(timeline.seconds),
        escaped(&about(timeline)),
        escaped(&totals(timeline)),
    );
    if let Some(previous) = &timeline.previous {
        let _ = writeln!(page, "<p>{}</p>", escaped(&difference(timeline, previous)));
    }
    page.push_str("</header>\n");
}

/// Steps of the critical path below this part of the run are folded away.
const SHORT: f64 = 0.02;

/// The critical path, and what bounded it.
fn path(page: &mut String, timeline: &Timeline) {
    if timeline.critical_path.is_empty() {
        return;
    }
    let whole: f64 = timeline.critical_path.iter().map(|step| step.seconds).sum();
    let _ = writeln!(
        page,
        "<section id=\"critical-path\">\n<h2>Critical path: {} of {}</h2>",
        took(whole),
        took(timeline.seconds)
    );
    let steps = timeline.critical_path.iter();
    let (long, short): (Vec<_>, Vec<_>) = steps.partition(|step| step.seconds >= SHORT * timeline.seconds);
    list(page, timeline, &long);
    if !short.is_empty() {
        let took = took(short.iter().map(|step| step.seconds).sum());
        let _ =
            writeln!(page, "<details><summary>and {}: {took}</summary>", count(short.len(), "short step"));
        list(page, timeline, &short);
        page.push_str("</details>\n");
    }
    page.push_str("</section>\n");
}

fn list(page: &mut String, timeline: &Timeline, steps: &[&CriticalStep]) {
    page.push_str("<ul>\n");
    for step in steps {
        let _ = writeln!(
            page,
            "<li><span class=\"share\" style=\"width:{}%\"></span><b>{}</b> <span class=\"time\">{}</span> <span class=\"why\">{}</span></li>",
            markup::percent(step.seconds, timeline.seconds),
            escaped(&step.step),
            took(step.seconds),
            escaped(&step.bounded_by)
        );
    }
    page.push_str("</ul>\n");
}

fn comparison(page: &mut String, timeline: &Timeline, previous: &Comparison) {
    let (notable, same): (Vec<_>, Vec<_>) = previous.steps.iter().partition(|step| step.is_notable());
    let _ = writeln!(
        page,
        "<section id=\"previous\">\n<h2>Compared with the previous run</h2>\n<p>{}</p>",
        escaped(&difference(timeline, previous))
    );
    for (steps, is_folded) in [(notable, false), (same, true)] {
        if steps.is_empty() {
            continue;
        }
        if is_folded {
            let _ = writeln!(page, "<details><summary>about as long: {}</summary>", steps.len());
        }
        page.push_str("<table>\n<tr><th>step</th><th>before</th><th>now</th></tr>\n");
        for step in steps {
            let shown = |seconds: Option<f64>| seconds.map_or("-".to_owned(), took);
            let _ = writeln!(
                page,
                "<tr><td>{}</td><td class=\"time\">{}</td><td class=\"time\">{}</td></tr>",
                escaped(&step.step),
                shown(step.before),
                shown(step.now)
            );
        }
        page.push_str("</table>\n");
        if is_folded {
            page.push_str("</details>\n");
        }
    }
    page.push_str("</section>\n");
}
