//! Each step of the pipeline, joined with what the cluster declares.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::planner::{Planned, Planner};
use super::secrets::Secrets;
use crate::kinds;
use crate::with_location::WithLocation;
use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::Result;
use bootstrapper_engine::{Graph, Limits, PlannedStep, Stage, StepId, Work};
use bootstrapper_gitops::pipeline::{self, Pipeline, Selected, StepSpec, When};
use bootstrapper_gitops::trust::Agreed;
use bootstrapper_gitops::{Declared, Repository};
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
    /// What the person has agreed to.
    pub agreed: Agreed,
}

/// Joins the pipeline with what the cluster declares. Fails if a step names what is not declared.
pub fn build(inputs: &Inputs<'_>) -> Result<Graph> {
    let stages =
        inputs.pipeline.stages.iter().map(|stage| planned_stage(inputs, stage)).collect::<Result<_>>()?;
    Ok(Graph { stages })
}

fn planned_stage(inputs: &Inputs<'_>, stage: &pipeline::Stage) -> Result<Stage> {
    let steps = stage.steps.iter().map(|spec| planned_step(inputs, stage, spec)).collect::<Result<_>>()?;
    Ok(Stage { name: stage.name.clone(), needs: stage.needs.clone(), parallel: stage.parallel, steps })
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
    Ok(PlannedStep { id, title, limits, digest, work })
}

/// Checks, without a cluster, that every step names something that is declared and that the
/// bootstrap can apply.
pub fn check(pipeline: &Pipeline, declared: &Declared) -> Result<()> {
    for spec in pipeline.steps() {
        spec.kind.check(declared).map_err(|failure| spec.placed(failure))?;
        let applies = spec.kind.applies();
        if let Some((kind, name)) = applies.subject()
            && spec.when == When::Always
            && !pipeline.is_built_in
            && !applies.is_declared(declared)
        {
            return Err(spec.refuse(format!("{} declares no {kind} called `{name}`", declared.cluster)));
        }
    }
    Ok(())
}
