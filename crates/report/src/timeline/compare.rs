//! The difference between two runs of a cluster.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Timeline;
use super::model::StepTrack;

/// A difference below this many seconds is noise.
const NOISE: f64 = 1.0;
/// So is a difference below this part of the longer duration.
const NOISE_PART: f64 = 0.1;

/// The difference from an earlier run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// When the earlier run started.
    pub started: Timestamp,
    /// Its outcome.
    pub outcome: String,
    /// Its duration.
    pub seconds: f64,
    /// How many objects it changed.
    pub changed: usize,
    /// Each step that ran in one of them, in the order of the later run.
    pub steps: Vec<StepDifference>,
}

/// The durations of a step in two runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepDifference {
    /// The step.
    pub step: String,
    /// Its duration in the earlier run; none if it did not run.
    pub before: Option<f64>,
    /// Its duration in the later run; none if it did not run.
    pub now: Option<f64>,
}

impl StepDifference {
    /// Whether the difference is more than noise.
    pub fn is_notable(&self) -> bool {
        let (Some(before), Some(now)) = (self.before, self.now) else { return true };
        let difference = (now - before).abs();
        difference >= NOISE && difference >= NOISE_PART * before.max(now)
    }
}

impl Timeline {
    /// The same, compared with an earlier run.
    #[must_use]
    pub fn compared_with(mut self, before: Option<&Self>) -> Self {
        self.previous = before.map(|before| Comparison {
            started: before.run.started,
            outcome: before.outcome.clone(),
            seconds: before.seconds,
            changed: before.changed,
            steps: differences(before, &self),
        });
        self
    }

    /// All steps, in order.
    pub fn steps(&self) -> impl Iterator<Item = &StepTrack> {
        self.stages.iter().flat_map(|stage| &stage.steps)
    }

    /// The duration of a step; none if it did not run.
    pub fn took(&self, step: &str) -> Option<f64> {
        self.steps().find(|track| track.step == step && track.start.is_some()).map(|track| track.seconds)
    }
}

fn differences(before: &Timeline, now: &Timeline) -> Vec<StepDifference> {
    let gone = before.steps().filter(|track| now.steps().all(|other| other.step != track.step));
    now.steps()
        .chain(gone)
        .map(|track| StepDifference {
            step: track.step.clone(),
            before: before.took(&track.step),
            now: now.took(&track.step),
        })
        .filter(|step| step.before.is_some() || step.now.is_some())
        .collect()
}
