//! The events of a run. Renderers and the ledger depend on nothing else.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;

use super::{Cause, Changes, Observation, RunSummary, StepId, StepOutcome};
use bootstrapper_core::failure::Failure;
use bootstrapper_core::verdict::{Progress, Reason};

/// One event of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// The wall-clock time.
    pub at: jiff::Timestamp,
    /// The step; none for the run as a whole.
    pub step: Option<StepId>,
    /// The attempt of the step, from 1; 0 for the run as a whole.
    pub attempt: u32,
    /// Since the step began.
    pub step_elapsed: Duration,
    /// Since the attempt began.
    pub attempt_elapsed: Duration,
    /// The kind, with its data.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// The kinds of events.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// The run starts: contains the whole plan, so that a renderer can draw all of it at once.
    RunStarted {
        /// The cluster and its server, in one line.
        headline: String,
        /// All stages and their steps, in order.
        stages: Vec<StageOutline>,
    },
    /// The step starts.
    StepStarted,
    /// The step was compared with the cluster.
    StepObserved {
        /// The result.
        observation: Observation,
    },
    /// The step reports what it is doing.
    StepSaid {
        /// A short message.
        message: String,
    },
    /// The step changed the cluster.
    StepActed {
        /// The changes.
        changes: Changes,
    },
    /// The step is waiting.
    StepWaiting {
        /// The reasons.
        reasons: Vec<Reason>,
        /// The progress, if it has several parts.
        #[serde(skip_serializing_if = "Option::is_none")]
        progress: Option<Progress>,
    },
    /// Diagnosis of a waiting step. Each replaces the previous one.
    StepExplained {
        /// Root causes, the most severe first; none if the previous ones are resolved.
        causes: Vec<Cause>,
    },
    /// An attempt failed, and will be retried.
    AttemptFailed {
        /// The error.
        failure: Failure,
        /// The delay before the next attempt.
        next_in: Duration,
    },
    /// The step ended.
    StepFinished {
        /// The outcome.
        outcome: StepOutcome,
        /// The error, if it failed.
        failure: Option<Failure>,
        /// The root causes, if it failed and any are known.
        causes: Vec<Cause>,
    },
    /// The user interrupted the run; it finishes in-flight operations.
    CancelRequested,
    /// The run ended.
    RunFinished {
        /// The summary.
        summary: RunSummary,
    },
}

/// A stage, as announced at the start.
#[derive(Debug, Clone, Serialize)]
pub struct StageOutline {
    /// Its name.
    pub name: String,
    /// Its steps, in order.
    pub steps: Vec<StepOutline>,
}

/// A step, as announced at the start.
#[derive(Debug, Clone, Serialize)]
pub struct StepOutline {
    /// Its name in the plan.
    pub id: StepId,
    /// A short title: `release kube-system/cilium 1.20.2`.
    pub title: String,
    /// Why it is skipped, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip: Option<String>,
}

/// Sends the events of a run. Cheap to clone; sending never blocks and never fails: a run continues without
/// its renderer.
#[derive(Debug, Clone)]
pub struct Events(mpsc::UnboundedSender<Event>);

impl Events {
    /// A channel: the sender for the run and the receiver for the renderer.
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Sends one event.
    pub fn send(&self, event: Event) {
        // A closed channel means that the renderer has ended; the run continues.
        let _ = self.0.send(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Change, ChangeKind, Diff};
    use bootstrapper_core::object::ObjectRef;

    /// One event of each kind, as scripts read it.
    fn samples() -> Vec<EventKind> {
        let id = StepId { stage: "cilium".to_owned(), name: "release-cilium".to_owned() };
        let change = Change {
            kind: ChangeKind::Created,
            subject: "release kube-system/cilium".to_owned(),
            details: vec!["chart cilium 1.20.2".to_owned()],
        };
        let changes = Changes {
            summary: "release kube-system/cilium".to_owned(),
            changes: vec![change.clone()],
            ..Changes::default()
        };
        let reason = Reason {
            object: Some(ObjectRef::cluster_scoped("v1", "Node", "n1")),
            field: Some("Ready".to_owned()),
            text: "KubeletNotReady: cni plugin not initialized".to_owned(),
        };
        let cause = Cause {
            code: Some("BS-NOD-001".to_owned()),
            cause: "Node n1: no network plugin".to_owned(),
            evidence: vec!["cni plugin not initialized".to_owned()],
            chain: vec!["Deployment kube-system/coredns".to_owned(), "Node n1".to_owned()],
            blocks: vec!["Deployment kube-system/coredns".to_owned()],
            origins: Vec::new(),
            declared_in: None,
            remedy: vec!["install the network plugin".to_owned()],
            transient: false,
        };
        let failure = Failure::step("release kube-system/cilium is not ready").because("Node n1: not ready");
        let summary = RunSummary {
            steps: vec![(id.clone(), StepOutcome::Changed { summary: "installed".to_owned() })],
            failures: Vec::new(),
            changed: 1,
            unchanged: 0,
            elapsed: Duration::from_secs(2),
            took: vec![(id.clone(), Duration::from_secs(2))],
            critical_path: vec![(id.clone(), Duration::from_secs(2))],
        };
        let outline = StepOutline { id, title: "release kube-system/cilium 1.20.2".to_owned(), skip: None };
        vec![
            EventKind::RunStarted {
                headline: "infra  https://192.0.2.1:6443  v1.36.3".to_owned(),
                stages: vec![StageOutline { name: "cilium".to_owned(), steps: vec![outline] }],
            },
            EventKind::StepStarted,
            EventKind::StepObserved {
                observation: Observation::Missing(Diff {
                    summary: "release kube-system/cilium".to_owned(),
                    changes: vec![change],
                    unchanged: 0,
                }),
            },
            EventKind::StepSaid { message: "helm: release kube-system/cilium".to_owned() },
            EventKind::StepActed { changes },
            EventKind::StepWaiting { reasons: vec![reason], progress: Some(Progress { ready: 2, total: 3 }) },
            EventKind::StepExplained { causes: vec![cause.clone()] },
            EventKind::AttemptFailed { failure: failure.clone(), next_in: Duration::from_secs(1) },
            EventKind::StepFinished {
                outcome: StepOutcome::Failed,
                failure: Some(failure),
                causes: vec![cause],
            },
            EventKind::CancelRequested,
            EventKind::RunFinished { summary },
        ]
    }

    /// Does not compile until a new kind is added; add it to the samples, too.
    fn name(kind: &EventKind) -> &'static str {
        match kind {
            EventKind::RunStarted { .. } => "run-started",
            EventKind::StepStarted => "step-started",
            EventKind::StepObserved { .. } => "step-observed",
            EventKind::StepSaid { .. } => "step-said",
            EventKind::StepActed { .. } => "step-acted",
            EventKind::StepWaiting { .. } => "step-waiting",
            EventKind::StepExplained { .. } => "step-explained",
            EventKind::AttemptFailed { .. } => "attempt-failed",
            EventKind::StepFinished { .. } => "step-finished",
            EventKind::CancelRequested => "cancel-requested",
            EventKind::RunFinished { .. } => "run-finished",
        }
    }

    #[test]
    fn each_kind_as_json() {
        let lines = samples().into_iter().map(|kind| {
            let name = name(&kind);
            let event = Event {
                at: jiff::Timestamp::UNIX_EPOCH,
                step: Some(StepId { stage: "cilium".to_owned(), name: "release-cilium".to_owned() }),
                attempt: 1,
                step_elapsed: Duration::from_secs(2),
                attempt_elapsed: Duration::from_secs(1),
                kind,
            };
            let value = serde_json::to_value(&event).unwrap();
            assert_eq!(value["event"], name);
            serde_json::to_string_pretty(&value).unwrap()
        });
        insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
    }
}
