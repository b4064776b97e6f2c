//! A manifest in a task file: a file or folder of the repository, or a URL.

use std::path::Path;

use super::build;
use bootstrapper_core::digest::sha256;
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::Object;
use bootstrapper_core::yaml;
use bootstrapper_tools::{Fetched, Kustomize, Use, remote};

/// Its objects, built by kustomize as Flux would.
pub async fn manifest(location: &str, root: &Path, kustomize: &Kustomize) -> Result<Vec<Object>> {
    let built = build::manifest(location, root, kustomize).await.map_err(|problem| problem.failure)?;
    yaml::from_multiple(&built, Path::new(location))
}

/// The SHA-256 of a URL's response; none if it is not the URL of a file. It is downloaded once, so the build
/// uses the same content.
pub async fn manifest_digest(location: &str, kustomize: &Kustomize) -> Result<Option<String>> {
    let Ok(Some(remote)) = remote(location, Use::Any) else { return Ok(None) };
    match kustomize.remotes().get(&remote).await? {
        Fetched::File(content) => Ok(Some(sha256(&*content))),
        Fetched::Repository(_) => Ok(None),
    }
}
