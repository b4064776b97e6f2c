//! A removal as a graph of steps, run by the engine like a bootstrap: events, progress, cancellation.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::remove::Plan;
use crate::following::ready;
use crate::owns_nothing::owns_nothing;
use bootstrapper_core::failure::{Failure, FailureKind, Result, Retry};
use bootstrapper_core::verdict::Readiness;
use bootstrapper_engine::{
    Act, Cause, Changes, Diff, Graph, Limits, Observation, Owned, PlannedStep, Stage, Step, StepId, Stuck,
    Teardown, Undo, Work,
};

/// A removal detects on its own that nothing changes any more, and names the blocking objects.
const UNLIMITED: Limits = Limits { timeout: Duration::from_hours(24), inactivity: Duration::from_hours(24) };

/// How to remove.
#[derive(Debug, Clone, Copy)]
pub struct RemovalOptions {
    /// How long nothing may change before an object counts as stuck.
    pub stall_timeout: Duration,
    /// Whether to remove finalizers from stuck objects.
    pub release_finalizers: bool,
}

impl RemovalOptions {
    fn teardown<'a>(&self, say: &'a (dyn Fn(String) + Send + Sync)) -> Teardown<'a> {
        Teardown { stall_timeout: self.stall_timeout, release_finalizers: self.release_finalizers, say }
    }
}

/// The removal of `plan`, including the parts that steps of the bootstrap remove themselves, in reverse order.
pub fn graph(plan: &Arc<Plan>, steps: &[(&PlannedStep, Owned)], options: &RemovalOptions) -> Graph {
    let taken: BTreeSet<&str> = steps.iter().map(|(step, _)| step.id.stage.as_str()).collect();
    let of_plan = |part: PlanPart| {
        let stage = free_name(part.name(), &taken);
        let step = OfPlan { plan: Arc::clone(plan), part, options: *options };
        planned(StepId { stage, name: part.name().to_owned() }, part.title().to_owned(), step)
    };
    let of_steps =
        steps.iter().filter(|(_, owned)| Plan::is_removed_by_step(owned)).filter_map(|(step, owned)| {
            let title = format!("{} of {}", owned.diff.summary, step.title);
            let undo = OfStep { undo: step.undo()?, is_by_helm: owned.by == "helm", options: *options };
            Some(planned(step.id.clone(), title, undo))
        });
    let all = std::iter::once(of_plan(PlanPart::Flux))
        .chain(of_steps)
        .chain([of_plan(PlanPart::Leftovers), of_plan(PlanPart::Verification)]);
    let mut stages: Vec<Stage> = Vec::new();
    for step in all {
        match stages.last_mut().filter(|stage| stage.name == step.id.stage) {
            Some(stage) => stage.steps.push(step),
            None => {
                let needs = stages.last().map(|before| before.name.clone()).into_iter().collect();
                let name = step.id.stage.clone();
                stages.push(Stage { name, needs, parallel: false, steps: vec![step] });
            }
        }
    }
    Graph { stages }
}

/// A stage name that the bootstrap does not use.
fn free_name(name: &str, taken: &BTreeSet<&str>) -> String {
    let mut free = name.to_owned();
    while taken.contains(free.as_str()) {
        free.push('\'');
    }
    free
}

fn planned(id: StepId, title: String, step: impl Step + 'static) -> PlannedStep {
    PlannedStep { id, title, why: None, limits: UNLIMITED, digest: None, work: Work::Step(Arc::new(step)) }
}

/// Calls were retried already if that could help: the user decides what comes next.
fn without_retry(failure: Failure) -> Failure {
    failure.retry(Retry::Useless)
}

fn cancelled() -> Failure {
    Failure::new(FailureKind::Cancelled, "stopped on request")
}

/// What the plan removes, in addition to the steps' own objects.
#[derive(Clone, Copy)]
enum PlanPart {
    /// Objects that Flux has applied.
    Flux,
    /// Objects that no step owns, CRDs and namespaces.
    Leftovers,
    /// Verifies that nothing is left.
    Verification,
}

impl PlanPart {
    fn name(self) -> &'static str {
        match self {
            Self::Flux => "flux-objects",
            Self::Leftovers => "leftovers",
            Self::Verification => "verification",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Flux => "what Flux applied",
            Self::Leftovers => "other objects, CRDs and namespaces",
            Self::Verification => "nothing is left",
        }
    }
}

struct OfPlan {
    plan: Arc<Plan>,
    part: PlanPart,
    options: RemovalOptions,
}

owns_nothing!(OfPlan);

#[async_trait]
impl Step for OfPlan {
    async fn observe(&self) -> Result<Observation> {
        Ok(Observation::Missing(Diff { summary: self.part.title().to_owned(), ..Diff::default() }))
    }

    async fn act(&self, act: Act<'_>) -> Result<Changes> {
        let teardown = self.options.teardown(act.say);
        let removal = async {
            match self.part {
                PlanPart::Flux => self.plan.through_flux(&teardown).await,
                PlanPart::Leftovers => self.plan.rest(&teardown).await,
                PlanPart::Verification => self.plan.require_gone().await,
            }
        };
        tokio::select! {
            removed = removal => removed.map_err(without_retry)?,
            // The deletion is requested; the next run sees whether it has completed.
            () = act.cancel.cancelled() => return Err(cancelled()),
        }
        Ok(Changes { summary: self.part.title().to_owned(), ..Changes::default() })
    }

    fn settle(&self) -> BoxStream<'_, Result<Readiness>> {
        ready()
    }

    async fn explain(&self, _: Stuck<'_>) -> Vec<Cause> {
        Vec::new()
    }
}

/// The objects of a bootstrap step.
struct OfStep {
    undo: Arc<dyn Undo>,
    is_by_helm: bool,
    options: RemovalOptions,
}

owns_nothing!(OfStep);

#[async_trait]
impl Step for OfStep {
    async fn observe(&self) -> Result<Observation> {
        let Owned { diff, .. } = self.undo.owned().await.map_err(without_retry)?;
        if diff.changes.is_empty() {
            return Ok(Observation::Satisfied { summary: "nothing to remove".to_owned(), unchanged: 0 });
        }
        Ok(Observation::Missing(diff))
    }

    async fn act(&self, act: Act<'_>) -> Result<Changes> {
        let teardown = self.options.teardown(act.say);
        let removal = self.undo.teardown(&teardown);
        tokio::select! {
            removed = removal => removed.map_err(without_retry),
            // Helm finishes what it has started.
            () = act.cancel.cancelled(), if !self.is_by_helm => Err(cancelled()),
        }
    }

    fn settle(&self) -> BoxStream<'_, Result<Readiness>> {
        ready()
    }

    async fn explain(&self, _: Stuck<'_>) -> Vec<Cause> {
        Vec::new()
    }
}
