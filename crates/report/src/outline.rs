//! The text of `plan` and `status`: one line per step, grouped by stage.

use std::fmt::Write as _;

use super::words::width;
use bootstrapper_core::output::one_line;
use bootstrapper_core::verdict::{Readiness, Reason, Verdict};
use bootstrapper_core::words::count;
use bootstrapper_engine::{ChangeKind, Diff, Observation};

/// A step with more new objects than this shows only their number.
const NEW_ONES_NAMED: usize = 8;

/// Writes the stage's name before its first step.
struct Grouped {
    text: String,
    last: String,
    wide: usize,
}

impl Grouped {
    fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let wide = names.map(|name| width(split(name).0)).max().unwrap_or(0);
        Self { text: String::new(), last: String::new(), wide }
    }

    fn line(&mut self, name: &str, mark: &str, said: &str) {
        let stage = split(name).0;
        let shown = if stage == self.last { "" } else { stage };
        let said = one_line(said);
        let _ = writeln!(self.text, "  {shown:wide$}  {mark} {said}", wide = self.wide);
        stage.clone_into(&mut self.last);
    }

    fn detail(&mut self, mark: &str, said: &str) {
        let said = one_line(said);
        let _ = writeln!(self.text, "  {:wide$}      {mark} {said}", "", wide = self.wide);
    }
}

fn split(name: &str) -> (&str, &str) {
    name.split_once('/').unwrap_or((name, ""))
}

/// A step of a plan.
pub struct PlanLine<'a> {
    /// `stage/step`.
    pub step: &'a str,
    /// Its title.
    pub title: &'a str,
    /// The reason why the pipeline contains it, if given.
    pub why: Option<&'a str>,
    /// The observation; none if it could not be observed.
    pub observation: Option<&'a Observation>,
}

/// What a run would do: each step as observed, its changes, and the sum. `None` is a step that could not be
/// observed.
pub fn plan_text<'a>(lines: impl IntoIterator<Item = PlanLine<'a>>) -> String {
    let lines: Vec<_> = lines.into_iter().collect();
    let mut out = Grouped::new(lines.iter().map(|line| line.step));
    let (mut to_do, mut unchanged, mut conflicts, mut waits, mut unknown) = (0, 0, 0, 0, 0);
    for PlanLine { step: name, title, why, observation } in lines {
        match observation {
            Some(Observation::Satisfied { summary, .. }) => {
                unchanged += 1;
                out.line(name, "=", &either(summary, title));
            }
            Some(Observation::Missing(diff)) => {
                to_do += 1;
                out.line(name, "+", &diff_line(diff, title));
                conflicts += changes(&mut out, diff);
            }
            Some(Observation::Drifted(diff)) => {
                to_do += 1;
                out.line(name, "~", &diff_line(diff, title));
                conflicts += changes(&mut out, diff);
            }
            Some(Observation::Awaited { waits_for, progress }) => {
                waits += 1;
                let reasons: Vec<String> = waits_for.iter().map(Reason::to_string).collect();
                let progress = progress.map(|progress| format!(" ({progress})")).unwrap_or_default();
                out.line(name, "?", &format!("{title}{progress}: waiting: {}", reasons.join("; ")));
            }
            Some(Observation::Blocked { by }) => {
                unknown += 1;
                out.line(name, "?", &format!("{title}: waiting for {by}"));
            }
            None => {
                unknown += 1;
                out.line(name, "?", &format!("{title}: unknown"));
            }
        }
        if let Some(why) = why {
            out.detail("why", why);
        }
    }
    let _ = write!(out.text, "{to_do} to do, {unchanged} unchanged");
    for (number, said) in [(waits, "waiting"), (unknown, "unknown")] {
        if number > 0 {
            let _ = write!(out.text, ", {number} {said}");
        }
    }
    if conflicts > 0 {
        let _ = write!(out.text, ", {}", count(conflicts, "conflict"));
    }
    out.text.push_str(".  Nothing was written.\n");
    out.text
}

fn either(summary: &str, title: &str) -> String {
    if summary.is_empty() { title.to_owned() } else { summary.to_owned() }
}

fn diff_line(diff: &Diff, title: &str) -> String {
    let summary = either(&diff.summary, title);
    if diff.unchanged == 0 { summary } else { format!("{summary}   = {} unchanged", diff.unchanged) }
}

/// Each change on its own line, followed by its details; returns the number of conflicts. Of many new objects
/// only the number is shown: `--output json` has their names.
fn changes(out: &mut Grouped, diff: &Diff) -> usize {
    let all_new = diff.changes.iter().all(|change| change.kind == ChangeKind::Created);
    if all_new && diff.changes.len() > NEW_ONES_NAMED {
        return 0;
    }
    let wide = diff.changes.iter().map(|change| width(&change.subject)).max().unwrap_or(0);
    let mut conflicts = 0;
    for change in &diff.changes {
        let mark = match change.kind {
            ChangeKind::Created => "+",
            ChangeKind::Configured => "~",
            ChangeKind::Deleted => "-",
            ChangeKind::Conflict => {
                conflicts += 1;
                "!"
            }
        };
        let mut details = change.details.iter();
        let first = details.next().map_or("", String::as_str);
        out.detail(mark, format!("{:wide$}  {first}", change.subject).trim_end());
        for detail in details {
            out.detail(" ", &format!("{:wide$}  {detail}", ""));
        }
    }
    conflicts
}

/// The status of a step.
pub struct StatusLine<'a> {
    /// Its name in the plan.
    pub step: &'a str,
    /// Its title.
    pub title: &'a str,
    /// Whether it is ready.
    pub readiness: &'a Readiness,
}

/// Whether each step is ready now, and why not.
pub fn status_text<'a>(lines: impl IntoIterator<Item = StatusLine<'a>>) -> String {
    let lines: Vec<StatusLine<'_>> = lines.into_iter().collect();
    let mut out = Grouped::new(lines.iter().map(|line| line.step));
    let (mut ready, mut not_yet, mut never) = (0, 0, 0);
    for StatusLine { step, title, readiness } in lines {
        let (mark, number) = match &readiness.verdict {
            Verdict::Ready => ("✓", &mut ready),
            Verdict::NotYet(_) => ("…", &mut not_yet),
            Verdict::Never(_) => ("✗", &mut never),
        };
        *number += 1;
        let progress = readiness.progress.map(|progress| format!(" ({progress})")).unwrap_or_default();
        out.line(step, mark, &format!("{title}{progress}"));
        for said in readiness.verdict.texts().iter().chain(&readiness.remarks) {
            out.detail(" ", said);
        }
    }
    let _ = write!(out.text, "{ready} ready");
    for (number, said) in [(not_yet, "not yet"), (never, "stuck")] {
        if number > 0 {
            let _ = write!(out.text, ", {number} {said}");
        }
    }
    out.text.push_str(".\n");
    out.text
}

#[cfg(test)]
mod tests {
    use super::*;
    use bootstrapper_core::verdict::Progress;
    use bootstrapper_engine::Change;

    fn line<'a>(step: &'a str, title: &'a str, observation: Option<&'a Observation>) -> PlanLine<'a> {
        PlanLine { step, title, why: None, observation }
    }

    #[test]
    fn a_plan_groups_by_stage_and_sums_up() {
        let drifted = Some(Observation::Drifted(Diff {
            summary: "release kube-system/cilium 1.20.1 → 1.20.2".into(),
            changes: vec![
                Change {
                    kind: ChangeKind::Configured,
                    subject: "DaemonSet cilium".into(),
                    details: vec!["image a → b".into()],
                },
                Change {
                    kind: ChangeKind::Conflict,
                    subject: "Bgp x".into(),
                    details: vec!["owned".into(), "64513".into()],
                },
            ],
            unchanged: 2,
        }));
        let satisfied = Some(Observation::Satisfied { summary: "61 CRDs served".into(), unchanged: 61 });
        let said = plan_text([
            PlanLine {
                why: Some("Cilium's operator needs them"),
                ..line("crds/all", "CRDs", satisfied.as_ref())
            },
            line("cilium/release", "cilium", drifted.as_ref()),
            line("cilium/bgp", "BGP", None),
        ]);
        assert_eq!(
            said,
            "  crds    = 61 CRDs served
              why Cilium's operator needs them
  cilium  ~ release kube-system/cilium 1.20.1 → 1.20.2   = 2 unchanged
              ~ DaemonSet cilium  image a → b
              ! Bgp x             owned
                                  64513
          ? BGP: unknown
1 to do, 1 unchanged, 1 unknown, 1 conflict.  Nothing was written.
"
        );
    }

    #[test]
    fn many_new_objects_are_a_number() {
        let created =
            |number| Change { kind: ChangeKind::Created, subject: format!("Crd {number}"), details: vec![] };
        let new = |number: usize| {
            let changes = (0..number).map(created).collect();
            Some(Observation::Missing(Diff { summary: format!("{number} CRDs"), changes, unchanged: 0 }))
        };
        let (few, many) = (new(2), new(31));
        let said = plan_text([line("crds/few", "", few.as_ref()), line("crds/many", "", many.as_ref())]);
        assert!(said.contains("+ Crd 0\n") && !said.contains("+ Crd 2\n"), "{said}");
        assert!(said.contains("+ 31 CRDs\n"), "{said}");
    }

    #[test]
    fn a_status_gives_reasons() {
        let remarks = vec!["it was slow".to_owned()];
        let ready = Readiness { remarks, ..Readiness::ready() };
        let progress = Some(Progress { ready: 2, total: 3 });
        let waits = Readiness { progress, ..Verdict::not_yet("1 of 3 pods crashes").into() };
        let lines = [
            StatusLine { step: "core/a", title: "coredns", readiness: &ready },
            StatusLine { step: "core/b", title: "spegel", readiness: &waits },
        ];
        assert_eq!(
            status_text(lines),
            "  core  ✓ coredns\n              it was slow\n        … spegel (2/3 ready)\n              1 of 3 pods crashes\n1 ready, 1 not yet.\n"
        );
    }
}
