//! The text of `status`.

use std::fmt::Write as _;

use super::rows::Rows;
use crate::words::colour_of_stdout;
use bootstrapper_core::verdict::{Readiness, Verdict};

/// Of more reasons than this, the rest is folded into a number.
const LISTED: usize = 12;

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
    text(lines, colour_of_stdout())
}

fn text<'a>(lines: impl IntoIterator<Item = StatusLine<'a>>, colour: bool) -> String {
    let lines: Vec<StatusLine<'_>> = lines.into_iter().collect();
    let mut rows = Rows::new(lines.iter().map(|line| line.step), colour);
    let (mut ready, mut not_yet, mut never) = (0, 0, 0);
    for StatusLine { step, title, readiness } in lines {
        let (mark, number) = match &readiness.verdict {
            Verdict::Ready => ("✓", &mut ready),
            Verdict::NotYet(_) => ("…", &mut not_yet),
            Verdict::Never(_) => ("✗", &mut never),
        };
        *number += 1;
        let progress = readiness.progress.map(|progress| format!(" ({progress})")).unwrap_or_default();
        rows.row(step, mark, &format!("{title}{progress}"));
        let texts = readiness.verdict.texts();
        texts.iter().take(LISTED).for_each(|said| rows.detail(" ", said));
        if texts.len() > LISTED {
            rows.detail(" ", &format!("and {} more", texts.len() - LISTED));
        }
        readiness.remarks.iter().for_each(|said| rows.detail(" ", said));
    }
    let mut text = rows.into_text();
    let _ = write!(text, "{ready} ready");
    for (number, said) in [(not_yet, "not yet"), (never, "stuck")] {
        if number > 0 {
            let _ = write!(text, ", {number} {said}");
        }
    }
    text.push_str(".\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use bootstrapper_core::verdict::Progress;

    #[test]
    fn a_status_gives_reasons() {
        let remarks = vec!["it was slow".to_owned()];
        let ready = Readiness { remarks, ..Readiness::ready() };
        let progress = Some(Progress { ready: 2, total: 3 });
        let waits = Readiness { progress, ..Verdict::not_yet("1 of 3 pods crashes").into() };
        let many = (0..15).map(|number| format!("pod {number} crashes").as_str().into()).collect();
        let many = Readiness::from(Verdict::Never(many));
        let lines = [
            StatusLine { step: "core/a", title: "coredns", readiness: &ready },
            StatusLine { step: "core/spegel", title: "spegel", readiness: &waits },
            StatusLine { step: "core/c", title: "c", readiness: &many },
        ];
        insta::assert_snapshot!(text(lines, false));
    }
}
