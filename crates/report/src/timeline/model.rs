//! What a timeline contains. Times are seconds since the start of the run, durations are seconds.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Comparison, CriticalStep};
use crate::Requests;

/// The format version of new timelines.
pub const FORMAT: u32 = 1;

/// A run: what it did when, what it waited for, and what determined its duration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeline {
    /// The format version.
    pub format: u32,
    /// Which run.
    #[serde(flatten)]
    pub run: RunInfo,
    /// `succeeded`, `failed`, `cancelled`, `aborted`, `locked out`; of a reconciliation `reconciled` or
    /// `reconcile failed`.
    pub outcome: String,
    /// The duration.
    pub seconds: f64,
    /// The number of changed objects.
    pub changed: usize,
    /// The number of objects that were as declared.
    pub unchanged: usize,
    /// The API requests of the run.
    pub requests: Requests,
    /// The API requests until each moment.
    pub samples: Vec<Sample>,
    /// All stages, in order.
    pub stages: Vec<StageTrack>,
    /// The steps that determined the duration, first to last.
    pub critical_path: Vec<CriticalStep>,
    /// The difference from the previous run of the cluster, if there is one.
    pub previous: Option<Comparison>,
}

/// Which run a timeline is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunInfo {
    /// The cluster.
    pub cluster: String,
    /// `run` or `reconcile`: runs of the same command are comparable.
    pub command: String,
    /// `sandbox`, or the address of the API server: and of the same place.
    pub place: String,
    /// The first line of the run: cluster, server, version, revision.
    pub headline: String,
    /// The revision of the repository.
    pub revision: Option<String>,
    /// The user and host.
    pub by: String,
    /// The version of this program.
    pub version: String,
    /// The start time.
    pub started: Timestamp,
}

/// The number of API requests until a moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// The moment.
    pub at: f64,
    /// The requests so far.
    #[serde(flatten)]
    pub requests: Requests,
}

/// A stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StageTrack {
    /// Its name.
    pub name: String,
    /// Its steps, in order.
    pub steps: Vec<StepTrack>,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepTrack {
    /// Its name, as `--only` takes it.
    pub step: String,
    /// Its title.
    pub title: String,
    /// The outcome in a word; `running` if the run was aborted.
    pub outcome: String,
    /// What it did, why it was skipped, or what failed.
    pub summary: String,
    /// When it started; none if it did not run.
    pub start: Option<f64>,
    /// Its duration.
    pub seconds: f64,
    /// The number of attempts.
    pub attempts: u32,
    /// What it was busy with, in order.
    pub phases: Vec<Phase>,
    /// What it waited for, the longest first.
    pub waits: Vec<Wait>,
    /// Its failed attempts that were retried.
    pub retries: Vec<Retry>,
    /// Warnings, causes and advice, for a person.
    pub notes: Vec<String>,
}

impl StepTrack {
    /// When it ended; none if it did not run.
    pub fn end(&self) -> Option<f64> {
        self.start.map(|start| start + self.seconds)
    }
}

/// A part of a step's time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Phase {
    /// What the step was busy with.
    pub kind: PhaseKind,
    /// When it began.
    pub start: f64,
    /// How long it took.
    pub seconds: f64,
    /// The last message of the step in it; may be empty.
    pub text: String,
}

/// What a step is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PhaseKind {
    /// It compares the desired state with the cluster.
    Compare,
    /// It changes the cluster.
    Apply,
    /// It waits until its objects are ready.
    Wait,
    /// It pauses before another attempt.
    Retry,
}

impl PhaseKind {
    /// All, in the order of a legend.
    pub(super) const ALL: [Self; 4] = [Self::Compare, Self::Apply, Self::Wait, Self::Retry];

    /// A word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compare => "compare",
            Self::Apply => "apply",
            Self::Wait => "wait",
            Self::Retry => "retry",
        }
    }
}

/// Something that a step waited for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wait {
    /// The reason; of one that changed, the text that was true for longest.
    pub reason: String,
    /// When it began.
    pub start: f64,
    /// How long it took.
    pub seconds: f64,
}

impl Wait {
    /// When it ended.
    pub fn end(&self) -> f64 {
        self.start + self.seconds
    }
}

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// When it failed.
    pub at: f64,
    /// Why.
    pub reason: String,
    /// The pause before the next one.
    pub pause: f64,
}
