//! The runs of a cluster, as text.

use std::time::Duration;

use bootstrapper_cluster::{Entry, RunEnd, RunRecord};
use bootstrapper_report::duration;
use bootstrapper_report::table;

/// The runs, the newest first; on request, with the steps of the newest run that has any.
pub(crate) fn history_text(entries: &[Entry], with_steps: bool) -> String {
    if entries.is_empty() {
        return "no runs recorded\n".to_owned();
    }
    let mut text = table(
        &["STARTED", "DURATION", "OUTCOME", "CHANGED", "BY", "VERSION", "REVISION"],
        entries.iter().map(|entry| match entry {
            Entry::Run(run) => row(run),
            Entry::Unreadable { key, because } => {
                vec![key.clone(), "-".to_owned(), format!("unreadable: {because}")]
            }
        }),
    );
    let ends = entries.iter().filter_map(|entry| match entry {
        Entry::Run(run) => run.end.as_ref(),
        Entry::Unreadable { .. } => None,
    });
    if let Some(end) = ends.filter(|_| with_steps).find(|end| !end.steps.is_empty()) {
        text.push('\n');
        text.push_str(&steps(end));
    }
    text
}

fn row(run: &RunRecord) -> Vec<String> {
    let (took, outcome, changed) = match &run.end {
        Some(end) => (seconds(end.seconds), end.outcome.clone(), end.changed.to_string()),
        None => ("-".to_owned(), "running or crashed".to_owned(), "-".to_owned()),
    };
    let began = run.started.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
    let revision = run.revision.clone().unwrap_or_else(|| "-".to_owned());
    vec![began, took, outcome, changed, run.by.clone(), run.version.clone(), revision]
}

fn steps(end: &RunEnd) -> String {
    let row = |step: &bootstrapper_cluster::StepRecord| {
        let took = step.seconds.map_or_else(|| "-".to_owned(), seconds);
        let digest = step.digest.as_deref().unwrap_or("-").chars().take(12).collect();
        vec![step.step.clone(), took, step.outcome.clone(), digest]
    };
    table(&["STEP", "DURATION", "OUTCOME", "DIGEST"], end.steps.iter().map(row))
}

/// The number in the record can be arbitrary.
fn seconds(seconds: f64) -> String {
    Duration::try_from_secs_f64(seconds).map_or_else(|_| "?".to_owned(), duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_shown_with_user_and_outcome() {
        let mut run = RunRecord::begins(jiff::Timestamp::UNIX_EPOCH, "alice@laptop".to_owned(), None);
        let unended = Entry::Run(Box::new(run.clone()));
        run = run.ends(RunEnd {
            outcome: "succeeded".to_owned(),
            seconds: 61.0,
            changed: 3,
            unchanged: 1,
            steps: vec![bootstrapper_cluster::StepRecord {
                step: "core/release-coredns".to_owned(),
                outcome: "changed".to_owned(),
                seconds: Some(f64::NAN),
                digest: Some("0123456789abcdef".to_owned()),
            }],
        });
        let broken = Entry::Unreadable { key: "run-x".to_owned(), because: "EOF".to_owned() };
        let text = history_text(&[unended, Entry::Run(Box::new(run)), broken], true);
        for said in [
            "running or crashed",
            "1970-01-01 00:00:00Z  1m01s     succeeded",
            "alice@laptop",
            "run-x",
            "unreadable: EOF",
            "core/release-coredns  ?         changed  0123456789ab\n",
        ] {
            assert!(text.contains(said), "{said}:\n{text}");
        }
    }
}
