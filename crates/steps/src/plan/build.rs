//! Combines each step of the pipeline with the cluster's declaration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::manifests::Manifests;
use super::planner::{Planned, Planner};
use super::secrets::Secrets;
use crate::kinds;
use crate::with_location::WithLocation;
use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_engine::{Graph, Limits, PlannedStep, Stage, StepId, Work};
use bootstrapper_gitops::pipeline::{self, Pipeline, Selected, StepSpec};
use bootstrapper_gitops::trust::Approvals;
use bootstrapper_gitops::{Declared, Distribution, Repository};
use bootstrapper_tools::{Environment, Helm, Kustomize};

/// The default timeout of a step.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(30);
/// The default time without progress after which a step fails.
const DEFAULT_INACTIVITY: Duration = Duration::from_mins(10);

/// All inputs of a plan.
pub struct Inputs<'a> {
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// The selected steps.
    pub selected: &'a Selected,
    /// A timeout for every step, overriding the task files.
    pub timeout: Option<Duration>,
    /// A time without progress for every step, overriding the task files.
    pub inactivity: Option<Duration>,
    /// The repository, for paths in task files.
    pub repository: &'a Repository,
    /// What the cluster declares.
    pub declared: Arc<Declared>,
    /// The distribution of its nodes, if `bootstrapper.yaml` declares it.
    pub distribution: Option<Distribution>,
    /// Settings of the other clusters in the repository.
    pub neighbours: Vec<(String, BTreeMap<String, String>)>,
    /// The API server.
    pub cluster: Cluster,
    /// Helm, or the reason why it is missing.
    pub helm: Result<Arc<Helm>>,
    /// Kustomize.
    pub kustomize: Arc<Kustomize>,
    /// The environment of programs.
    pub environment: Environment,
    /// The declared secrets.
    pub secrets: Secrets,
    /// The built objects of `objects` steps.
    pub manifests: Manifests,
    /// The user's approvals.
    pub approvals: Approvals,
}

/// Combines the pipeline with the cluster's declaration. Fails if steps refer to something undeclared, and
/// lists all such steps.
pub fn build(inputs: &Inputs<'_>) -> Result<Graph> {
    let mut failures = Vec::new();
    let mut stages = Vec::new();
    for stage in &inputs.pipeline.stages {
        let mut steps = Vec::new();
        for spec in &stage.steps {
            match planned_step(inputs, stage, spec) {
                Ok(step) => steps.push(step),
                Err(failure) => failures.push(failure),
            }
        }
        let (name, needs, parallel) = (stage.name.clone(), stage.needs.clone(), stage.parallel);
        stages.push(Stage { name, needs, parallel, steps });
    }
    match Failure::first_of(failures) {
        Some(failure) => Err(failure),
        None => Ok(Graph { stages }),
    }
}

fn planned_step(inputs: &Inputs<'_>, stage: &pipeline::Stage, spec: &StepSpec) -> Result<PlannedStep> {
    let id = StepId { stage: stage.name.clone(), name: spec.name() };
    let limits = Limits {
        timeout: inputs.timeout.or(spec.timeout).unwrap_or(DEFAULT_TIMEOUT),
        inactivity: inputs.inactivity.or(spec.inactivity).unwrap_or(DEFAULT_INACTIVITY),
    };
    let deselected = inputs.selected.reason_to_skip(&stage.name, &id.name);
    let planner = Planner { inputs, stage: &stage.name, spec };
    let Planned { title, work, digest } = kinds::kind(&spec.kind).plan(&planner)?;
    let work = match (work, deselected) {
        (_, Some(reason)) => Work::Skipped { reason },
        (Work::Step(step), None) => {
            Work::Step(Arc::new(WithLocation { step, declared: Arc::clone(&inputs.declared) }))
        }
        (other @ (Work::Skipped { .. } | Work::Impossible { .. }), None) => other,
    };
    Ok(PlannedStep { id, title, why: spec.why.clone(), limits, digest, work })
}
