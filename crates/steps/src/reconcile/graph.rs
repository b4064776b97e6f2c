//! The graph of `reconcile`: the source, the root, the named objects, and the outcome.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::handover::Handover;
use super::requests::Requests;
use super::target::{Role, Target};
use crate::explain::Explainer;
use bootstrapper_cluster::Cluster;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_core::words::count;
use bootstrapper_engine::{Graph, Limits, PlannedStep, Stage, Step, StepId, Work};
use bootstrapper_gitops::Declared;
use bootstrapper_readiness::flux_controllers;

/// What to reconcile.
pub struct ReconcileOptions<'a> {
    /// The API server.
    pub cluster: &'a Cluster,
    /// What the cluster declares.
    pub declared: &'a Declared,
    /// The repository.
    pub repository: &'a Path,
    /// `name`, `namespace/name` or `Kind/name`; if empty, everything that is not ready.
    pub names: &'a [String],
    /// The deadlines of each step.
    pub limits: Limits,
}

/// The steps, in order. Fails if a name is unknown, or Flux is not installed. Reads only.
pub async fn graph(wanted: &ReconcileOptions<'_>) -> Result<Graph> {
    let named = wanted.named()?;
    wanted.require_flux().await?;
    let (source, root) = (ObjectRef::of(&wanted.declared.source), ObjectRef::of(&wanted.declared.sync));
    let mut stages = vec![
        wanted.stage("source", &[], vec![wanted.target(&source, Role::Source)]),
        wanted.stage("root", &["source"], vec![wanted.target(&root, Role::Root)]),
    ];
    let targets: Vec<Target> = named
        .iter()
        .filter(|id| **id != root && **id != source)
        .map(|id| wanted.target(id, Role::Named))
        .collect();
    if !targets.is_empty() {
        stages.push(wanted.stage("named", &["root"], targets));
    }
    let before = stages.last().map(|stage| stage.name.clone());
    let outcome = wanted.outcome(&named);
    let title = format!("{} ready", count(outcome.declared.len(), "object"));
    stages.push(Stage {
        name: "outcome".to_owned(),
        needs: before.into_iter().collect(),
        parallel: false,
        steps: vec![wanted.step("outcome", "ready".to_owned(), title, outcome)],
    });
    Ok(Graph { stages })
}

impl ReconcileOptions<'_> {
    /// The objects that the names refer to, each once.
    fn named(&self) -> Result<Vec<ObjectRef>> {
        let mut named: Vec<ObjectRef> = Vec::new();
        for name in self.names {
            let found = self.declared.reconciled(name)?;
            named.extend(found.into_iter().filter(|id| !named.contains(id)).collect::<Vec<_>>());
        }
        Ok(named)
    }

    /// Without a running controller, no request is handled.
    async fn require_flux(&self) -> Result<()> {
        let root = ObjectRef::of(&self.declared.sync);
        let name = &self.declared.cluster;
        let without = |why: String| {
            Failure::step(format!("Flux is not installed on {name}"))
                .because(why)
                .hint(format!("bootstrap it: bootstrapper {name}"))
        };
        if !self.cluster.serves(&root.api_version, &root.kind).await? {
            return Err(without(format!("the API server does not serve {} {}", root.api_version, root.kind)));
        }
        if self.cluster.list(&flux_controllers()).await?.is_empty() {
            return Err(without("no Deployment of Flux found".to_owned()));
        }
        if self.cluster.get(&root).await?.is_none() {
            return Err(Failure::step(format!("Flux does not reconcile {name} yet"))
                .because(format!("{root} not found"))
                .hint(format!("bootstrap it: bootstrapper {name}")));
        }
        Ok(())
    }

    fn target(&self, id: &ObjectRef, role: Role) -> Target {
        Target {
            cluster: self.cluster.clone(),
            id: id.clone(),
            role,
            source: ObjectRef::of(&self.declared.source),
            owners: self.declared.parents(id),
            token: OnceLock::new(),
            explainer: Explainer::default(),
        }
    }

    fn stage(&self, name: &str, needs: &[&str], targets: Vec<Target>) -> Stage {
        let step = |target: Target| {
            let title = target.id.to_string();
            let namespace = target.id.namespace.as_deref().unwrap_or_default();
            let short = format!("{}/{namespace}/{}", target.id.kind, target.id.name);
            self.step(name, short, title, target)
        };
        let needs = needs.iter().map(ToString::to_string).collect();
        let steps = targets.into_iter().map(step).collect();
        Stage { name: name.to_owned(), needs, parallel: true, steps }
    }

    fn step(&self, stage: &str, name: String, title: String, step: impl Step + 'static) -> PlannedStep {
        PlannedStep {
            id: StepId { stage: stage.to_owned(), name },
            title,
            why: None,
            limits: self.limits,
            digest: None,
            work: Work::Step(Arc::new(step)),
        }
    }

    /// Watches the named objects and all that they need; or everything.
    fn outcome(&self, named: &[ObjectRef]) -> Handover {
        let requests = Requests::of(self.cluster.clone(), self.declared, self.repository);
        let all = self.declared.kustomizations.iter().map(|one| &one.id);
        let all = all.chain(self.declared.releases.iter().map(|release| &release.id));
        let needed = self.declared.with_needed(named);
        Handover {
            cluster: self.cluster.clone(),
            declared: all.filter(|id| named.is_empty() || needed.contains(id)).cloned().collect(),
            source: ObjectRef::of(&self.declared.source),
            requests: if named.is_empty() { requests.including_failed() } else { requests },
            explainer: Explainer::default(),
        }
    }
}
