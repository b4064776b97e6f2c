//! What determined the duration: the critical path, and of each step on it, what it was busy with for longest.

use serde::{Deserialize, Serialize};

use super::{PhaseKind, StepTrack, Wait};

/// Reasons that end within this many seconds of each other have ended together.
const TOGETHER: f64 = 0.25;

/// A step on the critical path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CriticalStep {
    /// Its name.
    pub step: String,
    /// When it started.
    pub start: f64,
    /// Its duration.
    pub seconds: f64,
    /// What it was busy with for longest.
    pub bounded_by: String,
}

impl CriticalStep {
    pub(super) fn of(track: &StepTrack) -> Option<Self> {
        Some(Self {
            step: track.step.clone(),
            start: track.start?,
            seconds: track.seconds,
            bounded_by: bounded_by(track),
        })
    }
}

/// What a step was busy with for longest.
pub(super) fn bounded_by(track: &StepTrack) -> String {
    let sum = |kind: PhaseKind| -> f64 {
        track.phases.iter().filter(|phase| phase.kind == kind).map(|phase| phase.seconds).sum()
    };
    let longest = PhaseKind::ALL.into_iter().max_by(|one, other| sum(*one).total_cmp(&sum(*other)));
    let of_kind = |kind: PhaseKind| track.phases.iter().filter(move |phase| phase.kind == kind);
    match longest {
        Some(PhaseKind::Apply) => {
            let text = of_kind(PhaseKind::Apply)
                .max_by(|one, other| one.seconds.total_cmp(&other.seconds))
                .map_or("", |phase| &phase.text);
            if text.is_empty() { "applying changes".to_owned() } else { format!("applying: {text}") }
        }
        Some(PhaseKind::Wait) => match last(&track.waits) {
            Some(wait) => format!("waiting: {}", wait.reason),
            None => "waiting until it is ready".to_owned(),
        },
        Some(PhaseKind::Retry) => match track.retries.last() {
            Some(retry) => format!("retrying: {}", retry.reason),
            None => "retrying".to_owned(),
        },
        Some(PhaseKind::Compare) | None => "comparing with the cluster".to_owned(),
    }
}

/// The wait that ended last, and of several the longest: when it ended, the step was ready.
fn last(waits: &[Wait]) -> Option<&Wait> {
    let end = waits.iter().map(Wait::end).max_by(f64::total_cmp)?;
    waits
        .iter()
        .filter(|wait| wait.end() >= end - TOGETHER)
        .max_by(|one, other| one.seconds.total_cmp(&other.seconds))
}
