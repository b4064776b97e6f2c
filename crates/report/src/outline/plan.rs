//! The text of `plan`.

use std::fmt::Write as _;

use super::rows::Rows;
use crate::words::{colour_of_stdout, width};
use bootstrapper_core::failure::Failure;
use bootstrapper_core::verdict::Reason;
use bootstrapper_core::words::count;
use bootstrapper_engine::{Change, ChangeKind, Diff, Observation};

/// Of more changes of a kind than this, the rest is folded into a number.
const LISTED: usize = 8;
/// How many are listed of those.
const LISTED_OF_MANY: usize = 5;

/// A step of a plan.
pub struct PlanLine<'a> {
    /// `stage/step`.
    pub step: &'a str,
    /// Its title.
    pub title: &'a str,
    /// The reason why the pipeline contains it, if given.
    pub why: Option<&'a str>,
    /// The observation, or why it cannot be observed.
    pub observation: Result<&'a Observation, &'a Failure>,
}

#[derive(Default)]
struct Sum {
    to_do: usize,
    unchanged: usize,
    waits: usize,
    unknown: usize,
    conflicts: usize,
}

/// What a run would do: each step as observed, its changes, and the sum.
pub fn plan_text<'a>(lines: impl IntoIterator<Item = PlanLine<'a>>) -> String {
    text(lines, colour_of_stdout())
}

fn text<'a>(lines: impl IntoIterator<Item = PlanLine<'a>>, colour: bool) -> String {
    let lines: Vec<_> = lines.into_iter().collect();
    let mut rows = Rows::new(lines.iter().map(|line| line.step), colour);
    let mut sum = Sum::default();
    for line in &lines {
        row(&mut rows, line, &mut sum);
        if let Some(why) = line.why {
            rows.detail("why", why);
        }
    }
    let mut text = rows.into_text();
    text.push_str(&sum.text());
    text
}

fn row(rows: &mut Rows, line: &PlanLine<'_>, sum: &mut Sum) {
    let PlanLine { step, title, .. } = line;
    match line.observation {
        Ok(Observation::Satisfied { summary, .. }) => {
            sum.unchanged += 1;
            rows.row(step, "=", &named(title, summary));
        }
        Ok(Observation::Missing(diff)) => {
            sum.to_do += 1;
            rows.row(step, "+", &diff_line(diff, title));
            sum.conflicts += changes(rows, diff);
        }
        Ok(Observation::Drifted(diff)) => {
            sum.to_do += 1;
            rows.row(step, "~", &diff_line(diff, title));
            sum.conflicts += changes(rows, diff);
        }
        Ok(Observation::Awaited { waits_for, progress }) => {
            sum.waits += 1;
            let progress = progress.map(|progress| format!(" ({progress})")).unwrap_or_default();
            let reasons: Vec<String> = waits_for.iter().map(Reason::to_string).collect();
            rows.row(step, "?", &format!("{title}{progress}: waiting: {}", folded(&reasons)));
        }
        Ok(Observation::Blocked { by }) => {
            sum.unknown += 1;
            rows.row(step, "?", &format!("{title}: cannot be compared yet: waiting for {by}"));
        }
        Err(failure) => {
            sum.unknown += 1;
            rows.row(step, "?", &format!("{title}: unknown: {}", failure.what));
        }
    }
}

/// The summary with what it is about: many a summary does not name it.
fn named(title: &str, summary: &str) -> String {
    let first = |text: &str| text.split(' ').take(2).collect::<Vec<_>>().join(" ");
    match summary {
        "" => title.to_owned(),
        summary if summary.contains(title) || first(summary) == first(title) => summary.to_owned(),
        summary => format!("{title}: {summary}"),
    }
}

fn diff_line(diff: &Diff, title: &str) -> String {
    let summary = named(title, &diff.summary);
    if diff.unchanged == 0 { summary } else { format!("{summary}   = {} unchanged", diff.unchanged) }
}

fn folded(reasons: &[String]) -> String {
    if reasons.len() <= LISTED {
        return reasons.join("; ");
    }
    let (shown, rest) = reasons.split_at(LISTED_OF_MANY);
    format!("{}; and {} more", shown.join("; "), rest.len())
}

/// Each change on its own line, followed by its details; returns the number of conflicts. Many new, and many
/// deleted, objects are folded: `--output json` has all of them. A change to an object, or a conflict, never is.
fn changes(rows: &mut Rows, diff: &Diff) -> usize {
    let folds = |change: &&Change| matches!(change.kind, ChangeKind::Created | ChangeKind::Deleted);
    let (plain, detailed): (Vec<&Change>, Vec<&Change>) = diff.changes.iter().partition(folds);
    let wide = diff.changes.iter().map(|change| width(&change.subject)).max().unwrap_or(0);
    for kind in [ChangeKind::Created, ChangeKind::Deleted] {
        let of_kind: Vec<&Change> = plain.iter().copied().filter(|change| change.kind == kind).collect();
        let shown = if of_kind.len() > LISTED { LISTED_OF_MANY } else { of_kind.len() };
        of_kind.iter().take(shown).for_each(|change| change_rows(rows, change, wide));
        if shown < of_kind.len() {
            rows.detail(mark(kind), &format!("and {} more", of_kind.len() - shown));
        }
    }
    for change in &detailed {
        change_rows(rows, change, wide);
    }
    detailed.iter().filter(|change| change.kind == ChangeKind::Conflict).count()
}

fn change_rows(rows: &mut Rows, change: &Change, wide: usize) {
    let mut details = change.details.iter();
    let first = details.next().map_or("", String::as_str);
    rows.detail(mark(change.kind), format!("{:wide$}  {first}", change.subject).trim_end());
    for detail in details {
        rows.detail(" ", &format!("{:wide$}  {detail}", ""));
    }
}

fn mark(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Created => "+",
        ChangeKind::Configured => "~",
        ChangeKind::Deleted => "-",
        ChangeKind::Conflict => "!",
    }
}

impl Sum {
    fn text(&self) -> String {
        let mut text = format!("{} to do, {} unchanged", self.to_do, self.unchanged);
        for (number, said) in [(self.waits, "waiting"), (self.unknown, "unknown")] {
            if number > 0 {
                let _ = write!(text, ", {number} {said}");
            }
        }
        if self.conflicts > 0 {
            let _ = write!(text, ", {}", count(self.conflicts, "conflict"));
        }
        text.push_str(".  Nothing was written.\n");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'a>(step: &'a str, title: &'a str, observation: &'a Observation) -> PlanLine<'a> {
        PlanLine { step, title, why: None, observation: Ok(observation) }
    }

    fn change(kind: ChangeKind, subject: &str, details: &[&str]) -> Change {
        let details = details.iter().map(|detail| (*detail).to_owned()).collect();
        Change { kind, subject: subject.into(), details }
    }

    #[test]
    fn a_plan_names_each_step_and_sums_up() {
        let drifted = Observation::Drifted(Diff {
            summary: "release kube-system/cilium 1.20.1 → 1.20.2".into(),
            changes: vec![
                change(ChangeKind::Configured, "DaemonSet cilium", &["image a → b"]),
                change(ChangeKind::Conflict, "Bgp x", &["owned", "64513"]),
            ],
            unchanged: 2,
        });
        let satisfied = Observation::Satisfied { summary: "61 CRDs served".into(), unchanged: 61 };
        let ready = Observation::Satisfied { summary: "ready".into(), unchanged: 0 };
        let blocked = Observation::Blocked { by: "CRDs of cilium".into() };
        let failure = Failure::step("no Helm");
        let said = text(
            [
                PlanLine {
                    why: Some("Cilium's operator needs them"),
                    ..line("crds/all", "CRDs of 2 releases", &satisfied)
                },
                line("cilium/release", "release kube-system/cilium 1.20.2", &drifted),
                line("cilium/nodes", "nodes", &ready),
                line("cilium/bgp", "BGP", &blocked),
                PlanLine { observation: Err(&failure), ..line("core/dns", "release coredns", &ready) },
            ],
            false,
        );
        insta::assert_snapshot!(said);
    }

    #[test]
    fn many_new_objects_are_folded_and_conflicts_are_not() {
        let many = |number: usize| {
            let mut changes: Vec<Change> =
                (0..number).map(|at| change(ChangeKind::Created, &format!("Crd {at}"), &[])).collect();
            changes.push(change(ChangeKind::Conflict, "Crd x", &["owned"]));
            Observation::Drifted(Diff { summary: format!("{number} CRDs"), changes, unchanged: 0 })
        };
        let (few, many) = (many(8), many(31));
        let said = text([line("crds/few", "", &few)], false);
        assert!(said.contains("+ Crd 7\n") && !said.contains("more"), "{said}");
        let said = text([line("crds/many", "", &many)], false);
        assert!(said.contains("+ Crd 4\n      + and 26 more\n      ! Crd x"), "{said}");
        assert!(said.ends_with("1 to do, 0 unchanged, 1 conflict.  Nothing was written.\n"), "{said}");
    }

    #[test]
    fn marks_have_colours_on_a_terminal_only() {
        let ready = Observation::Satisfied { summary: "ready".into(), unchanged: 0 };
        let coloured = text([line("a/b", "b", &ready)], true);
        assert!(bootstrapper_core::output::shown(&coloured).contains("\x1b[2m=\x1b[0m a/b"), "{coloured:?}");
        assert!(!text([line("a/b", "b", &ready)], false).contains('\x1b'));
    }
}
