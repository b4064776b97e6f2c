//! How far a run got, and the command that resumes it.

use bootstrapper_core::failure::{Failure, FailureKind};
use bootstrapper_engine::{RunSummary, StepOutcome};

/// The command line to run again, without confirmations.
pub(super) fn command() -> String {
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let _this = words.next();
    let words = words.filter(|word| !matches!(word.as_str(), "--break-lock" | "--yes"));
    std::iter::once("bootstrapper".to_owned())
        .chain(words.map(|word| quoted(&word)))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Quotes a shell word if necessary.
fn quoted(word: &str) -> String {
    let is_plain = |one: char| one.is_ascii_alphanumeric() || "-_./:=,@%+".contains(one);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The completed stages, and the first incomplete step.
pub(super) fn completed(summary: &RunSummary, is_cancelled: bool) -> Vec<String> {
    let is_done = |stage: &str| {
        let mut of_stage = summary.steps.iter().filter(|(id, _)| id.stage == stage);
        of_stage.all(|(_, outcome)| outcome.unblocks_dependents())
    };
    // A stage of which every step was skipped did nothing.
    let ran = summary.steps.iter().filter(|(_, outcome)| !matches!(outcome, StepOutcome::Skipped { .. }));
    let mut stages: Vec<&str> = ran.map(|(id, _)| id.stage.as_str()).collect();
    stages.dedup();
    stages.retain(|stage| is_done(stage));
    let next = summary.steps.iter().find(|(_, outcome)| !outcome.unblocks_dependents());
    let done = (!stages.is_empty()).then(|| format!("completed: {}", stages.join(", ")));
    let at = if is_cancelled { "stopped at" } else { "failed at" };
    done.into_iter().chain(next.map(|(id, _)| format!("{at}: {id}"))).collect()
}

/// The failure of an incomplete run: the renderer has already shown each failure in full, so this has only
/// the exit code and the progress.
pub(super) fn unfinished(what: &str, summary: &RunSummary, is_cancelled: bool) -> Failure {
    let kind = match summary.failures.first() {
        _ if is_cancelled => FailureKind::Cancelled,
        Some(failure) => failure.kind,
        None => FailureKind::Step,
    };
    let planned = summary.planned();
    Failure::new(kind, format!("{what}: {} of {planned} steps completed", planned - summary.open()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_for_a_shell() {
        assert_eq!(quoted("--repo=/a/b"), "--repo=/a/b");
        assert_eq!(quoted("my cluster"), "'my cluster'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
