//! Some objects of a Flux Kustomization, applied as Flux would.

use super::Kind;
use crate::plan::{Planned, Planner};
use bootstrapper_core::failure::Result;
use bootstrapper_gitops::pipeline::PartSpec;

impl Kind for PartSpec {
    fn plan(&self, planner: &Planner<'_>) -> Result<Planned> {
        let Some(kustomization) = planner.inputs.declared.kustomization(&self.of) else {
            return planner.absent("Kustomization", &self.of);
        };
        let title = format!("part of Kustomization {}", self.of);
        match kustomization.applicable_part(|object| self.has(object)) {
            Ok(objects) => {
                let digest = planner.digest_of(objects.iter().map(|object| &**object));
                let step = planner.objects("object", objects, Some(kustomization.id.clone()));
                Ok(Planned::step(title, step).with_digest(digest))
            }
            Err(failure) => {
                let named = kustomization.objects.iter().filter(|object| self.has(object)).cloned().collect();
                Ok(planner.impossible(title, planner.placed(failure), "object", named))
            }
        }
    }
}
