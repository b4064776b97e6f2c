//! Checks whether steps can run, from the repository alone: without a cluster.

use std::path::Path;

use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::files;
use bootstrapper_gitops::Declared;
use bootstrapper_gitops::pipeline::{Applies, Pipeline, StepKind, StepSpec, When};

/// Checks, without a cluster, that every step refers to something that is declared and that the bootstrap can
/// apply. Lists all problems of the repository, except that it does not declare which Flux to install.
pub fn check(pipeline: &Pipeline, declared: &Declared, root: &Path) -> Vec<Failure> {
    let is_derived_manifest =
        |spec: &&StepSpec| spec.is_built_in() && matches!(spec.kind.applies(), Applies::Manifest(_));
    let steps = pipeline.steps().filter(|spec| !is_derived_manifest(spec));
    steps.filter_map(|spec| check_step(spec, declared, root).err()).collect()
}

/// The same for one step.
pub(super) fn check_step(spec: &StepSpec, declared: &Declared, root: &Path) -> Result<()> {
    spec.kind.check(declared).map_err(|failure| spec.placed(failure))?;
    if let Applies::Manifest(manifest) = spec.kind.applies() {
        let known = declared.substituted_openly(&manifest.location);
        known.map_err(|failure| spec.placed(unversioned(spec, failure)))?;
    }
    if let StepKind::Objects(objects) = &spec.kind
        && let path = objects.path(&declared.cluster)
        && !path.to_string_lossy().contains("://")
    {
        files::find(root, &path)
            .map_err(|refusal| spec.refuse(format!("cannot read {}", path.display())).because(refusal))?;
    }
    let applies = spec.kind.applies();
    match applies.subject() {
        Some((kind, name)) if spec.when == When::Always && !applies.is_declared(declared) => {
            Err(spec.refuse(format!("{} declares no {kind} called `{name}`", declared.cluster)))
        }
        _ => Ok(()),
    }
}

/// The failure of a derived step whose manifest has no declared version.
pub(crate) fn unversioned(spec: &StepSpec, failure: Failure) -> Failure {
    if !spec.is_built_in() {
        return failure;
    }
    failure.because("nothing in the repository installs it, or says which version to install").hint(
        "set `flux: {version: …}` of the cluster in bootstrapper.yaml (`operator: …` for the Flux operator)",
    )
}
