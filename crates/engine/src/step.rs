//! The one idea: every step of a bootstrap answers four questions about the live cluster.

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

/// One thing that must become true of a cluster. There are no defaults: whoever adds a kind of step answers
/// each question.
#[async_trait]
pub trait Step: Undo {
    /// What is true now, against what is wanted. Reads only.
    async fn observe(&self) -> Result<Observation>;

    /// Makes it true. Safe to run again at any time. Called only when something is missing
    /// or drifted.
    async fn act(&self, act: Act<'_>) -> Result<Changes>;

    /// Follows it until it is ready or never will be. Each item replaces the one before; the
    /// stream need not end by itself. A failure that no retry can help ends the wait; another one is a
    /// reason to wait on. A [`Readiness`] that is `due` interrupts the wait: the step is observed, and acts,
    /// again.
    fn settle(&self) -> BoxStream<'_, Result<Readiness>>;

    /// Why it is not ready, or why it could not be made so: the deepest causes that facts support, the
    /// gravest first. Called while the step waits, too.
    async fn explain(&self, stuck: Stuck<'_>) -> Vec<Cause>;
}

/// What a step has brought to a cluster, and how that is removed.
#[async_trait]
pub trait Undo: Send + Sync {
    /// What exists of it, the last first: what [`Undo::teardown`] would remove. What Flux has taken over
    /// since is among it. Reads only.
    async fn owned(&self) -> Result<Owned>;

    /// Removes that, and returns once it is gone. Safe to run again.
    async fn teardown(&self, teardown: &Teardown<'_>) -> Result<Changes>;
}

/// What [`Step::explain`] is given: how the step came to a halt.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stuck<'a> {
    /// What failed, if something did.
    pub failure: Option<&'a Failure>,
    /// What [`Step::settle`] said last, if it said anything.
    pub readiness: Option<&'a Readiness>,
}

/// What [`Step::act`] is given.
pub struct Act<'a> {
    /// What was observed just before.
    pub observed: &'a Observation,
    /// Take fields over from other owners instead of refusing.
    pub force_conflicts: bool,
    /// Fail where else there would be warnings.
    pub strict: bool,
    /// Says what is being done, while it is done.
    pub say: &'a (dyn Fn(String) + Send + Sync),
    /// Cancelled once the run is to stop: an act that only waits may end then.
    pub cancel: &'a CancellationToken,
}

/// What a step has brought to a cluster, and is still there.
#[derive(Debug, Clone)]
pub struct Owned {
    /// For a person.
    pub diff: Diff,
    /// Each object that is to be gone once it is removed, those that Helm made included.
    pub objects: Vec<ObjectRef>,
    /// What its programs may have made as they ran.
    pub uses: Vec<ObjectRef>,
    /// The Flux objects that own it once Flux runs.
    pub owners: Vec<ObjectRef>,
    /// The program that removes it.
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

/// What [`Undo::teardown`] is given.
pub struct Teardown<'a> {
    /// How long nothing may change before what is removed counts as stuck.
    pub patience: Duration,
    /// Take finalizers from what is stuck.
    pub release_finalizers: bool,
    /// Says what is being done, while it is done.
    pub say: &'a (dyn Fn(String) + Send + Sync),
}

/// The name of a step in a plan, as a person types it: `cilium/release-cilium`.
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

/// What is true of a step now, against what is wanted.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Observation {
    /// As declared; nothing to do. Says in a few words what stands.
    Satisfied {
        /// `61 CRDs served`, `owned by Flux since 2026-11-20`.
        summary: String,
        /// How many objects were found to be as declared.
        unchanged: usize,
    },
    /// Not there, in whole.
    Missing(Diff),
    /// There, but different, or there in part.
    Drifted(Diff),
    /// Nothing to do but wait: the step only watches.
    Awaited {
        /// What is not so yet.
        waits_for: Vec<Reason>,
        /// How far it is, if it is made of several things.
        #[serde(skip_serializing_if = "Option::is_none")]
        progress: Option<Progress>,
    },
    /// Cannot be compared or done yet: names what it waits for.
    Blocked {
        /// What it waits for, in a few words.
        by: String,
    },
}

/// What [`Step::act`] would change.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Diff {
    /// In a few words: `3 namespaces`, `release kube-system/cilium 1.20.1 → 1.20.2`.
    pub summary: String,
    /// Each object that would change.
    pub changes: Vec<Change>,
    /// How many objects are as declared already.
    pub unchanged: usize,
}

/// What a step did, or would do.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Changes {
    /// In a few words: `4 namespaces, 2 secrets`.
    pub summary: String,
    /// Each object that changed.
    pub changes: Vec<Change>,
    /// How many objects were as declared already.
    pub unchanged: usize,
    /// What a person should look at, each in a few words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// One object that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What happens to it.
    pub kind: ChangeKind,
    /// The object, as a person names it.
    pub subject: String,
    /// Field by field: `image v1.20.1 → v1.20.2`. Values of Secrets never appear.
    pub details: Vec<String>,
}

/// What happens to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// It is made.
    Created,
    /// It is changed.
    Configured,
    /// It is removed.
    Deleted,
    /// Somebody else owns a field and says otherwise.
    Conflict,
}
