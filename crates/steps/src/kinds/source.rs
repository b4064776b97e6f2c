//! The GitRepository of the cluster.

use super::Kind;
use super::wait::awaited;
use crate::plan::{Planned, Planner};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Complete, ObjectRef};
use bootstrapper_gitops::pipeline::SourceSpec;

impl Kind for SourceSpec {
    fn plan(&self, planner: &Planner<'_>) -> Result<Planned> {
        let source = &planner.inputs.declared.source;
        if planner.inputs.declared.is_root_created_by_operator() {
            return Ok(awaited(planner, source));
        }
        let digest = planner.digest_of([source]);
        let objects = vec![Complete::of_own(source.clone())];
        let step = planner.objects("source", objects, None);
        Ok(Planned::step(ObjectRef::of(source).to_string(), step).with_digest(digest))
    }
}
