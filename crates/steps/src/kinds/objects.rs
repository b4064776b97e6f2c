//! The objects of a file or folder in the repository.

use super::Kind;
use crate::plan::{Planned, Planner};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::Complete;
use bootstrapper_gitops::pipeline::ObjectsSpec;

impl Kind for ObjectsSpec {
    fn plan(&self, planner: &Planner<'_>) -> Result<Planned> {
        let title = format!("objects of {}", self.path(&planner.inputs.declared.cluster).display());
        match planner.objects_of(self).map_err(|failure| planner.placed(failure)) {
            Ok(objects) => {
                let digest = planner.digest_of(&objects);
                let objects = objects.into_iter().map(Complete::of_own).collect();
                Ok(Planned::step(title, planner.objects("object", objects, None)).with_digest(digest))
            }
            Err(failure) if planner.inputs.declared.unknown_settings.is_empty() => Err(failure),
            Err(failure) => Ok(planner.impossible(title, failure, "object", Vec::new())),
        }
    }
}
