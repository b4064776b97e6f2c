//! Builds what a Flux Kustomization names, as kustomize-controller would: kustomize, with the
//! fields that Flux writes into the folder's kustomization. Each is built once for all clusters.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use serde_json::Value;
use tokio::sync::{OnceCell, Semaphore};
use walkdir::WalkDir;

use super::build_cache;
use super::documents::{Document, documents};
use crate::failure::{Failure, Result};
use crate::object::Object;
use crate::tools::Kustomize;

/// Fields of a Flux Kustomization that change what its folder builds to, and what kustomize calls
/// them.
const OVERLAID: [(&str, &str); 6] = [
    ("targetNamespace", "namespace"),
    ("namePrefix", "namePrefix"),
    ("nameSuffix", "nameSuffix"),
    ("patches", "patches"),
    ("images", "images"),
    ("components", "components"),
];

/// What is built: a folder, and what a Flux Kustomization adds to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Recipe {
    /// Relative to the repository.
    pub(super) folder: PathBuf,
    /// By the names that kustomize has for it; JSON, in the order of names.
    added: String,
}

impl Recipe {
    /// What the Flux Kustomization `object` builds of a folder of this repository.
    pub(super) fn of(object: &Object, folder: PathBuf) -> Self {
        let spec = &object.data["spec"];
        let added: BTreeMap<&str, &Value> = OVERLAID
            .iter()
            .filter(|(field, _)| !spec[*field].is_null())
            .map(|(field, kustomize_field)| (*kustomize_field, &spec[*field]))
            .collect();
        Self { folder, added: serde_json::json!(added).to_string() }
    }

    /// A folder as it is.
    pub(super) fn plain(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), added: "{}".to_owned() }
    }

    /// What is added.
    pub(super) fn added(&self) -> Value {
        serde_json::from_str(&self.added).unwrap_or_default()
    }
}

/// The folder that a Flux Kustomization builds, relative to the repository.
pub(super) fn path_of(object: &Object) -> PathBuf {
    let path = object.data["spec"]["path"].as_str().unwrap_or("./");
    super::documents::normal(Path::new(path.trim_start_matches('/')))
}

type Built = Arc<OnceCell<Result<Arc<Vec<Document>>>>>;

/// What was built already, for all clusters of a repository.
#[derive(Debug, Default)]
pub(super) struct Builds(Mutex<BTreeMap<(String, PathBuf, String), Built>>);

impl Builds {
    /// Builds, or takes what was built before.
    pub(super) async fn get(
        &self,
        recipe: &Recipe,
        root: &Path,
        kustomize: &Kustomize,
    ) -> Result<Arc<Vec<Document>>> {
        let key = (kustomize.identity(), recipe.folder.clone(), recipe.added.clone());
        let cell = {
            let mut builds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(builds.entry(key).or_default())
        };
        let built =
            cell.get_or_init(|| async { build_cache::build(recipe, root, kustomize).await.map(Arc::new) });
        built.await.clone()
    }
}

/// kustomize is busy with one core; more of them at a time than cores would only be slower.
static AT_A_TIME: std::sync::LazyLock<Semaphore> =
    std::sync::LazyLock::new(|| Semaphore::new(available_parallelism().map_or(2, usize::from)));

/// Builds with kustomize.
pub(super) async fn run(recipe: &Recipe, root: &Path, kustomize: &Kustomize) -> Result<Vec<Document>> {
    let failed = |error: std::io::Error| Failure::step("no temporary folder to build in").caused_by(&error);
    let overlay = tempfile::tempdir().map_err(failed)?;
    let place = overlay.path().canonicalize().map_err(failed)?;
    write_overlay(recipe, root, &place).map_err(failed)?;
    let built = {
        let _turn = AT_A_TIME.acquire().await;
        kustomize.build(&place).await.map_err(|failure| as_of_repository(failure, &place, root))?
    };
    documents(&built, &place, root)
}

/// A failure that names files as people know them: by their way from the root of the repository,
/// and not from a temporary folder.
fn as_of_repository(failure: Failure, overlay: &Path, root: &Path) -> Failure {
    let prefixes = [relative(overlay, root), root.to_owned()].map(|prefix| format!("{}/", prefix.display()));
    let told = |text: String| prefixes.iter().fold(text, |text, prefix| text.replace(prefix, ""));
    Failure { because: failure.because.into_iter().map(told).collect(), ..failure }
}

/// A temporary kustomization over the folder. Flux writes these fields into the folder's own.
fn write_overlay(recipe: &Recipe, root: &Path, overlay: &Path) -> std::io::Result<()> {
    let folder = root.join(&recipe.folder);
    let base = relative(overlay, &folder);
    let own = find_kustomization(&folder).is_some();
    let mut kustomization = serde_json::json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": if own { vec![base.clone()] } else { manifests(&folder, &base) },
        "buildMetadata": ["originAnnotations"],
    });
    for (field, value) in recipe.added().as_object().into_iter().flatten() {
        kustomization[field] = match value {
            Value::Array(paths) if field == "components" => {
                let within = |path: &Value| Some(base.join(path.as_str()?).display().to_string());
                paths.iter().filter_map(within).map(Value::String).collect()
            }
            value => value.clone(),
        };
    }
    std::fs::write(overlay.join("kustomization.yaml"), kustomization.to_string())
}

/// What kustomize looks for in a folder.
const KUSTOMIZATION_FILES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The kustomization file of a folder, if it has one.
pub(super) fn find_kustomization(folder: &Path) -> Option<PathBuf> {
    KUSTOMIZATION_FILES.iter().map(|name| folder.join(name)).find(|file| file.is_file())
}

/// Every manifest under a folder that has no kustomization of its own, as Flux finds them: a
/// folder with one counts as one resource, and is not gone into.
pub(super) fn manifests(folder: &Path, base: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries = WalkDir::new(folder).min_depth(1).sort_by_file_name().into_iter();
    while let Some(entry) = entries.next() {
        let Ok(entry) = entry else { continue };
        let within = base.join(entry.path().strip_prefix(folder).unwrap_or(entry.path()));
        if entry.file_type().is_dir() {
            if find_kustomization(entry.path()).is_some() {
                entries.skip_current_dir();
                found.push(within);
            }
        } else if is_yaml(entry.path()) {
            found.push(within);
        }
    }
    found
}

pub(super) fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// The way from one absolute folder to another; kustomize takes no absolute paths.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let (from, to): (Vec<Component<'_>>, Vec<Component<'_>>) =
        (from.components().collect(), to.components().collect());
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from[shared..].iter().map(|_| Component::ParentDir);
    up.chain(to[shared..].iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_way_between_folders() {
        assert_eq!(relative(Path::new("/tmp/x"), Path::new("/home/a/b")), Path::new("../../home/a/b"));
        assert_eq!(relative(Path::new("/tmp/x"), Path::new("/tmp/y")), Path::new("../y"));
    }

    #[test]
    fn failures_name_files_of_the_repository() {
        let failure = Failure::step("kustomize failed").because("reading '../../home/r/a.yaml' in /home/r/b");
        let told = as_of_repository(failure, Path::new("/tmp/x"), Path::new("/home/r"));
        assert_eq!(told.because, ["reading 'a.yaml' in b"]);
    }

    #[test]
    fn recipes_are_equal_if_they_build_the_same() {
        let of = |spec: Value| {
            let object = json!({"apiVersion": "x/v1", "kind": "K", "metadata": {"name": "k"}, "spec": spec});
            let object = serde_json::from_value(object).unwrap();
            Recipe::of(&object, path_of(&object))
        };
        let one = of(json!({"path": "./a/b", "targetNamespace": "n", "interval": "1h"}));
        assert_eq!(one, of(json!({"path": "a/./b/", "targetNamespace": "n", "prune": true})));
        assert_ne!(one, of(json!({"path": "a/b"})));
        assert_eq!(one.added(), json!({"namespace": "n"}));
        assert_eq!(of(json!({"path": "./"})), Recipe::plain(Path::new("")));
    }
}
