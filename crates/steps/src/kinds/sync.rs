//! The root Kustomization of the cluster.

use super::Kind;
use super::wait::awaited;
use crate::plan::{Planned, Planner};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::{Complete, ObjectRef};
use bootstrapper_gitops::pipeline::SyncSpec;

impl Kind for SyncSpec {
    fn plan(&self, planner: &Planner<'_>) -> Result<Planned> {
        let sync = &planner.inputs.declared.sync;
        if planner.inputs.declared.is_root_created_by_operator() {
            return Ok(awaited(planner, sync));
        }
        let digest = planner.digest_of([sync]);
        let objects = vec![Complete::of_own(sync.clone())];
        let step = planner.objects("sync", objects, None);
        Ok(Planned::step(ObjectRef::of(sync).to_string(), step).with_digest(digest))
    }
}
