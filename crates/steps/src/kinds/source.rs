//! The GitRepository of the cluster.

use super::Kind;
use crate::plan::{Planned, Planner};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Complete, ObjectRef};
use bootstrapper_gitops::pipeline::SourceSpec;

impl Kind for SourceSpec {
    fn plan(&self, planner: &Planner<'_>) -> Result<Planned> {
        let source = &planner.inputs.declared.source;
        let objects = vec![Complete::of_own(source.clone())];
        Ok(Planned::step(ObjectRef::of(source).to_string(), planner.objects("source", objects, None)))
    }

    fn digest(&self, planner: &Planner<'_>) -> Option<String> {
        planner.digest_of([&planner.inputs.declared.source])
    }
}
