//! Each step of the pipeline, joined with what the cluster declares.

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
use bootstrapper_gitops::trust::Agreed;
use bootstrapper_gitops::{Declared, Distribution, Repository};
use bootstrapper_tools::{Environment, Helm, Kustomize};

/// How long a step may take unless it says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(30);
/// How long nothing may change meanwhile, unless it says otherwise.
const DEFAULT_INACTIVITY: Duration = Duration::from_mins(10);

/// All that a plan is made of.
pub struct Inputs<'a> {
    /// The bootstrap as data.
    pub pipeline: &'a Pipeline,
    /// Which of its steps run.
    pub selected: &'a Selected,
    /// How long every step may take, instead of what the task files say.
    pub timeout: Option<Duration>,
    /// How long nothing may change in any step, instead of what the task files say.
    pub inactivity: Option<Duration>,
    /// The repository, for paths that task files name.
    pub repository: &'a Repository,
    /// What the cluster declares.
    pub declared: Arc<Declared>,
    /// What its nodes run, if `bootstrapper.yaml` says so.
    pub distribution: Option<Distribution>,
    /// Settings of the other clusters of the repository.
    pub neighbours: Vec<(String, BTreeMap<String, String>)>,
    /// The API server.
    pub cluster: Cluster,
    /// Helm, or why there is none.
    pub helm: Result<Arc<Helm>>,
    /// Kustomize.
    pub kustomize: Arc<Kustomize>,
    /// What programs see.
    pub environment: Environment,
    /// The declared secrets.
    pub secrets: Secrets,
    /// What `objects` steps apply, as far as it is built.
    pub manifests: Manifests,
    /// What the person has agreed to.
    pub agreed: Agreed,
}

/// Joins the pipeline with what the cluster declares. Fails if a step names what is not declared, and names
/// every such step.
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
