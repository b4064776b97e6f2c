//! The core idea: every step of a bootstrap implements four operations on the live cluster.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use bootstrapper_core::cause::Cause;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_core::verdict::{Progress, Readiness, Reason};

/// One desired condition of a cluster. No method has a default: every kind of step implements each of them.
#[async_trait]
pub trait Step: Undo {
    /// Compares the current state with the desired one. Reads only.
    async fn observe(&self) -> Result<Observation>;

    /// Applies the desired state. Idempotent. Called only if something is missing or drifted.
    async fn act(&self, act: Act<'_>) -> Result<Changes>;

    /// Watches until it is ready or can never be. Each item replaces the previous one; the stream need not
    /// end. A failure that is not retryable ends the wait; any other one is a reason to keep waiting. A
    /// [`Readiness`] that is `due` interrupts the wait: the step is observed and acts again.
    fn settle(&self) -> BoxStream<'_, Result<Readiness>>;

    /// Diagnoses why it is not ready, or why it failed: the deepest causes with evidence, the most severe
    /// first. Also called while the step waits.
    async fn explain(&self, stuck: Stuck<'_>) -> Vec<Cause>;
}

/// The objects that a step owns in a cluster, and how to remove them.
#[async_trait]
pub trait Undo: Send + Sync {
    /// The existing objects of the step, last first: what [`Undo::teardown`] would remove, including objects
    /// that Flux has taken over since. Reads only.
    async fn owned(&self) -> Result<Owned>;

    /// Removes them, and returns once they are gone. Idempotent.
    async fn teardown(&self, teardown: &Teardown<'_>) -> Result<Changes>;
}

/// The input of [`Step::explain`]: how the step got stuck.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stuck<'a> {
    /// The failure, if any.
    pub failure: Option<&'a Failure>,
    /// The last item of [`Step::settle`], if any.
    pub readiness: Option<&'a Readiness>,
    /// Whether the step is given up: its causes are those of this moment, whatever was found before.
    pub is_last: bool,
}

/// The input of [`Step::act`].
pub struct Act<'a> {
    /// The observation just before.
    pub observed: &'a Observation,
    /// Take over fields of other managers instead of failing.
    pub force_conflicts: bool,
    /// Fail instead of warning.
    pub strict: bool,
    /// Reports progress.
    pub say: &'a (dyn Fn(String) + Send + Sync),
    /// Cancelled when the run is interrupted: an action that only waits may end then.
    pub cancel: &'a CancellationToken,
}

/// The existing objects of a step.
#[derive(Debug, Clone)]
pub struct Owned {
    /// For display.
    pub diff: Diff,
    /// Each object that must be gone after the removal, including those that Helm created.
    pub objects: Vec<ObjectRef>,
    /// Objects that its programs may have created.
    pub uses: Vec<ObjectRef>,
    /// The Flux objects that own it once Flux runs.
    pub owners: Vec<ObjectRef>,
    /// The program that removes them.
    pub by: &'static str,
}

impl Default for Owned {
    fn default() -> Self {
        Self {
            diff: Diff::default(),
            objects: Vec::new(),
            uses: Vec::new(),
            owners: Vec::new(),
            by: "bootstrapper",
        }
    }
}

/// The input of [`Undo::teardown`].
pub struct Teardown<'a> {
    /// A deletion without progress for this long is stuck.
    pub stall_timeout: Duration,
    /// Remove finalizers from stuck objects.
    pub release_finalizers: bool,
    /// Reports progress.
    pub say: &'a (dyn Fn(String) + Send + Sync),
}

/// The name of a step in a plan, as on the command line: `cilium/release-cilium`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct StepId {
    /// The stage it belongs to.
    pub stage: String,
    /// Its name within the stage.
    pub name: String,
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.stage, self.name)
    }
}

/// The current state of a step, compared with the desired one.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Observation {
    /// As declared; nothing to do. Contains a short summary.
    Satisfied {
        /// `61 CRDs served`, `owned by Flux since 2026-11-20`.
        summary: String,
        /// The number of objects that are as declared.
        unchanged: usize,
    },
    /// Completely missing.
    Missing(Diff),
    /// Partly missing, or different.
    Drifted(Diff),
    /// Nothing to do but wait: the step only watches.
    Awaited {
        /// The condition that is not met yet.
        waits_for: Vec<Reason>,
        /// The progress, if it has several parts.
        #[serde(skip_serializing_if = "Option::is_none")]
        progress: Option<Progress>,
    },
    /// Cannot be compared or applied yet.
    Blocked {
        /// What it is waiting for, in a few words.
        by: String,
    },
}

/// What [`Step::act`] would change.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Diff {
    /// A short summary: `3 namespaces`, `release kube-system/cilium 1.20.1 → 1.20.2`.
    pub summary: String,
    /// Each object that would change.
    pub changes: Vec<Change>,
    /// The number of objects that are already as declared.
    pub unchanged: usize,
}

/// What a step has changed, or would change.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Changes {
    /// A short summary: `4 namespaces, 2 secrets`.
    pub summary: String,
    /// Each object that changed.
    pub changes: Vec<Change>,
    /// The number of objects that were already as declared.
    pub unchanged: usize,
    /// Warnings, each in a few words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// One object that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The kind of change.
    pub kind: ChangeKind,
    /// The object, for display.
    pub subject: String,
    /// Field by field: `image v1.20.1 → v1.20.2`. Values of Secrets never appear.
    pub details: Vec<String>,
}

/// The kind of change to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// Created.
    Created,
    /// Configured.
    Configured,
    /// Deleted.
    Deleted,
    /// Conflict: another manager owns a field with another value.
    Conflict,
}
