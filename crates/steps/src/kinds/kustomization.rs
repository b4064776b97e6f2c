//! The objects of a Flux Kustomization, applied as Flux would.

use super::Kind;
use crate::plan::{Planned, Planner};
use bootstrapper_core::failure::Result;
use bootstrapper_gitops::pipeline::KustomizationSpec;

impl Kind for KustomizationSpec {
    fn plan(&self, planner: &Planner<'_>) -> Result<Planned> {
        let Some(kustomization) = planner.inputs.declared.kustomization(&self.0) else {
            return planner.absent("Kustomization", &self.0);
        };
        let title = format!("Kustomization {}", self.0);
        match kustomization.applicable() {
            Ok(objects) => {
                let digest = planner.digest_of(objects.iter().map(|object| &**object));
                let step = planner.objects("object", objects, Some(kustomization.id.clone()));
                Ok(Planned::step(title, step).with_digest(digest))
            }
            Err(failure) => {
                let named = kustomization.objects.clone();
                Ok(planner.impossible(title, planner.placed(failure), "object", named))
            }
        }
    }
}
