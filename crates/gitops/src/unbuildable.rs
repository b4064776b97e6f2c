//! Readable errors of kustomize builds.

use std::path::Path;

use serde_json::Value;

use super::gather::Others;
use super::layout::is_yaml;
use super::problem::{Problem, ProblemKind};
use super::recipe::{Recipe, gathered};
use bootstrapper_core::failure::{Failure, FailureKind, Location};
use bootstrapper_core::yaml;

/// The problem of a failed build, with the location of invalid YAML.
pub(super) fn unbuildable(failure: Failure, recipe: &Recipe, root: &Path) -> Problem {
    let what = format!("cannot build {}", recipe.folder.display());
    let location = failure.location.clone().or_else(|| unreadable(recipe, root));
    let failure = Failure { what, kind: FailureKind::Input, location, ..failure };
    Problem::new(ProblemKind::UnbuildableKustomization, failure)
}

/// The location of the first YAML error in the files that `recipe` reads.
fn unreadable(recipe: &Recipe, root: &Path) -> Option<Location> {
    let (gathered, _) = gathered(recipe, root, &Others::new()).ok()?;
    let mut manifests = gathered.files.iter().filter(|(file, _)| is_yaml(file));
    manifests.find_map(|(file, content)| {
        let text = std::str::from_utf8(content).ok()?;
        yaml::from_multiple::<Value>(text, file).err()?.location
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_yaml_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("crds")).unwrap();
        std::fs::write(root.join("crds/kustomization.yaml"), "resources: [b.yaml]\n").unwrap();
        std::fs::write(root.join("crds/b.yaml"), "a: 1\nb: [\n").unwrap();
        let recipe = Recipe::plain(Path::new("crds"));
        let broken = unbuildable(Failure::step("kustomize build failed").because("no"), &recipe, &root);
        assert_eq!(broken.kind, ProblemKind::UnbuildableKustomization);
        assert_eq!((broken.failure.what.as_str(), broken.failure.because.len()), ("cannot build crds", 1));
        assert_eq!(broken.failure.location.unwrap().file, Path::new("crds/b.yaml"));
    }
}
