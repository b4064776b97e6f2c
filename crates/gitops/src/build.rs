//! Builds a Flux Kustomization like kustomize-controller: with kustomize, and the fields that Flux adds to the
//! folder's kustomization.

use std::path::Path;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;

use super::documents::{Document, documents};
use super::fetch::complete;
use super::gather::{From, Gathered, Others, gather};
use super::layout::KUSTOMIZATION_FILES;
use super::problem::{Problem, ProblemKind};
use super::recipe::{Recipe, gathered};
use super::stand_in::StandIn;
use super::unbuildable::unbuildable;
use bootstrapper_core::failure::{Failure, FailureKind, Result};
use bootstrapper_tools::Kustomize;

/// kustomize uses one core; running more of them than cores would be slower.
static AT_A_TIME: std::sync::LazyLock<Semaphore> =
    std::sync::LazyLock::new(|| Semaphore::new(available_parallelism().map_or(2, usize::from)));

/// Builds with kustomize.
pub(super) async fn run(
    recipe: &Recipe,
    root: &Path,
    kustomize: &Kustomize,
) -> Result<Vec<Document>, Problem> {
    run_with(recipe, root, kustomize, &Others::new()).await
}

/// Builds with kustomize, with some files decrypted.
pub(super) async fn run_with(
    recipe: &Recipe,
    root: &Path,
    kustomize: &Kustomize,
    others: &Others,
) -> Result<Vec<Document>, Problem> {
    let (gathered, has_notes) = gathered(recipe, root, others)?;
    let built = kustomized(gathered, &recipe.folder, root, kustomize).await;
    let (built, stand_in) = built.map_err(|problem| match problem.failure.kind {
        FailureKind::Step => unbuildable(problem.failure, recipe, root),
        _ => problem,
    })?;
    documents(&built, &stand_in.folder, &stand_in.root, has_notes)
        .map_err(|failure| unbuildable(failure, recipe, root))
}

/// The objects of a manifest in the repository, or at a URL.
pub(super) async fn manifest(location: &str, root: &Path, kustomize: &Kustomize) -> Result<String, Problem> {
    alone(Path::new(location), None, root, kustomize).await.map(|(built, _)| built)
}

/// Builds a file of the repository, in a namespace if given.
pub(super) async fn file(
    file: &Path,
    namespace: Option<&str>,
    root: &Path,
    kustomize: &Kustomize,
) -> Result<Vec<Document>, Problem> {
    let (built, stand_in) = alone(file, namespace, root, kustomize).await?;
    documents(&built, &stand_in.folder, &stand_in.root, true)
        .map_err(|failure| Problem::new(ProblemKind::UnbuildableKustomization, failure))
}

/// Builds one resource, regardless of a kustomization at the repository's root.
async fn alone(
    resource: &Path,
    namespace: Option<&str>,
    root: &Path,
    kustomize: &Kustomize,
) -> Result<(String, StandIn), Problem> {
    let mut own = serde_json::json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [resource],
    });
    if let Some(namespace) = namespace {
        own["namespace"] = namespace.into();
    }
    let others = Others::new();
    let from = From { root, others: &others, is_clone: false, ignore: None };
    let mut gathered = gather(from, Path::new(""), Some((KUSTOMIZATION_FILES[0], own)))?;
    for other in &KUSTOMIZATION_FILES[1..] {
        gathered.files.remove(Path::new(other));
    }
    kustomized(gathered, Path::new(""), root, kustomize).await
}

async fn kustomized(
    gathered: Gathered,
    folder: &Path,
    root: &Path,
    kustomize: &Kustomize,
) -> Result<(String, StandIn), Problem> {
    let failed = |failure: Failure| Problem::new(ProblemKind::UnbuildableKustomization, failure);
    let tree = complete(gathered, kustomize.remotes()).await?;
    let stand_in = StandIn::new(&tree, folder).map_err(|error| {
        failed(Failure::step("cannot create a temporary folder for the build").caused_by(&error))
    })?;
    drop(tree);
    let _turn = AT_A_TIME.acquire().await;
    let built = kustomize.build(&stand_in.folder).await;
    let built = built.map_err(|failure| failed(as_of_repository(failure, &[&stand_in.root, root])))?;
    Ok((built, stand_in))
}

/// A failure with readable file names: their path from the root of the repository, instead of a temporary
/// folder.
fn as_of_repository(failure: Failure, roots: &[&Path]) -> Failure {
    let told = |text: String| {
        roots.iter().fold(text, |text, root| text.replace(&format!("{}/", root.display()), ""))
    };
    Failure { because: failure.because.into_iter().map(told).collect(), ..failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_name_files_of_the_repository() {
        let failure = Failure::step("kustomize failed").because("reading '/tmp/x/a.yaml' in /home/r/b");
        let told = as_of_repository(failure, &[Path::new("/tmp/x"), Path::new("/home/r")]);
        assert_eq!(told.because, ["reading 'a.yaml' in b"]);
    }
}
