//! A manifest that a task file names: a file or folder of the repository, or an address.

use std::path::Path;

use super::build;
use crate::failure::Result;
use crate::object::Object;
use crate::tools::Kustomize;
use crate::yaml;

/// What it builds to. By kustomize, as Flux would build it.
pub async fn manifest(location: &str, root: &Path, kustomize: &Kustomize) -> Result<Vec<Object>> {
    let built = build::manifest(location, root, kustomize).await.map_err(|problem| problem.failure)?;
    yaml::from_multiple(&built, Path::new(location))
}
