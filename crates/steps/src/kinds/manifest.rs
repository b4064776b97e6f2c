//! All objects of a manifest at a URL.

use super::Kind;
use super::crds::{Crds, manifest_source, manifest_title};
use crate::plan::{Planned, Planner, unversioned};
use bootstrapper_core::failure::Result;
use bootstrapper_gitops::pipeline::RemoteManifestSpec;

impl Kind for RemoteManifestSpec {
    fn plan(&self, planner: &Planner<'_>) -> Result<Planned> {
        let source =
            manifest_source(planner, &self.0, false).map_err(|failure| unversioned(planner.spec, failure))?;
        let title = manifest_title(&source).to_owned();
        Ok(Planned::step(title, Crds::new(planner.inputs.cluster.clone(), source, None)))
    }
}
