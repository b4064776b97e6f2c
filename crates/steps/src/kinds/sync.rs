//! The root Kustomization of the cluster.

use super::Kind;
use crate::plan::{Planned, Planner};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Complete, ObjectRef};
use bootstrapper_gitops::pipeline::SyncSpec;

impl Kind for SyncSpec {
    fn plan(&self, planner: &Planner<'_>) -> Result<Planned> {
        let sync = &planner.inputs.declared.sync;
        let objects = vec![Complete::of_own(sync.clone())];
        Ok(Planned::step(ObjectRef::of(sync).to_string(), planner.objects("sync", objects, None)))
    }

    fn digest(&self, planner: &Planner<'_>) -> Option<String> {
        planner.digest_of([&planner.inputs.declared.sync])
    }
}
