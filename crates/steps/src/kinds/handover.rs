//! Waits until Flux has taken over everything that the cluster declares.

use super::Kind;
use crate::explain::Explainer;
use crate::plan::{Planned, Planner};
use crate::reconcile::{Handover, Requests};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::ObjectRef;
use bootstrapper_core::words::count;
use bootstrapper_gitops::pipeline::HandoverSpec;

impl Kind for HandoverSpec {
    fn plan(&self, planner: &Planner<'_>) -> Result<Planned> {
        let declared = &planner.inputs.declared;
        let kustomizations = declared.kustomizations.iter().map(|kustomization| kustomization.id.clone());
        let releases = declared.releases.iter().map(|release| release.id.clone());
        let title = format!(
            "{}, {}",
            count(declared.kustomizations.len(), "Kustomization"),
            count(declared.releases.len(), "HelmRelease")
        );
        let step = Handover {
            cluster: planner.inputs.cluster.clone(),
            declared: kustomizations.chain(releases).collect(),
            source: ObjectRef::of(&declared.source),
            requests: Requests::of(planner.inputs.cluster.clone(), declared, &planner.inputs.repository.root),
            explainer: Explainer::default(),
        };
        Ok(Planned::step(title, step))
    }
}
