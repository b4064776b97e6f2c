//! Builds what a Flux Kustomization names, as kustomize-controller would: kustomize, with the
//! fields that Flux writes into the folder's kustomization. Each is built once for all clusters.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use serde_json::{Map, Value};
use tokio::sync::{OnceCell, Semaphore};
use walkdir::WalkDir;

use super::build_cache;
use super::decryption::Decrypted;
use super::documents::{Document, documents};
use super::generator;
use super::stand_in::StandIn;
use crate::failure::{Failure, Result};
use crate::object::Object;
use crate::tools::Kustomize;
use crate::yaml;

/// What is built: a folder, and what a Flux Kustomization adds to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Recipe {
    /// Relative to the repository.
    pub(super) folder: PathBuf,
    /// Those fields of it that change what is built; JSON, in the order of names.
    added: String,
}

impl Recipe {
    /// What the Flux Kustomization `object` builds of a folder of this repository.
    pub(super) fn of(object: &Object, folder: PathBuf) -> Self {
        let spec = &object.data["spec"];
        let added: BTreeMap<&str, &Value> = generator::FIELDS
            .iter()
            .filter(|field| !spec[**field].is_null())
            .map(|field| (*field, &spec[*field]))
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
    run_with(recipe, root, kustomize, Decrypted::new()).await
}

/// Builds with kustomize, which sees some files decrypted.
pub(super) async fn run_with(
    recipe: &Recipe,
    root: &Path,
    kustomize: &Kustomize,
    mut others: Decrypted,
) -> Result<Vec<Document>> {
    let failed = |error: std::io::Error| Failure::step("no temporary folder to build in").caused_by(&error);
    let folder = root.join(&recipe.folder);
    let file = find_kustomization(&folder);
    let name =
        file.as_deref().and_then(Path::file_name).and_then(OsStr::to_str).unwrap_or(KUSTOMIZATION_FILES[0]);
    let (content, has_notes) = generated(recipe, &folder, file.as_deref())?;
    others.insert(recipe.folder.join(name), content.into_bytes());
    let stand_in = StandIn::new(root, &recipe.folder, &others).map_err(failed)?;
    let built = {
        let _turn = AT_A_TIME.acquire().await;
        kustomize
            .build(&stand_in.folder)
            .await
            .map_err(|failure| as_of_repository(failure, &[&stand_in.root, root]))?
    };
    documents(&built, &stand_in.folder, &stand_in.root, has_notes)
}

/// The text of the kustomization to build, and whether kustomize's notes belong to the objects.
fn generated(recipe: &Recipe, folder: &Path, file: Option<&Path>) -> Result<(String, bool)> {
    let added = recipe.added();
    let far = added["components"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .find(|path| !generator::is_local(path));
    if let Some(far) = far {
        return Err(Failure::input(format!("component {far} is not of this repository"))
            .hint("Flux takes only components that are named relative to spec.path"));
    }
    let fields = match file {
        None => generator::of_manifests(&manifests(folder, Path::new("."))),
        Some(file) => {
            let unread = |error: std::io::Error| {
                Failure::input(format!("{} cannot be read", file.display())).caused_by(&error)
            };
            let text = std::fs::read_to_string(file).map_err(unread)?;
            match yaml::from_str(&text, file) {
                Ok(Value::Object(fields)) => fields,
                Ok(Value::Null) => Map::new(),
                // kustomize says what is wrong with it.
                _ => return Ok((text, false)),
            }
        }
    };
    let generated = generator::generate(fields, file.is_some(), &added, folder);
    Ok((generated.kustomization.to_string(), generated.has_notes))
}

/// A failure that names files as people know them: by their way from the root of the repository,
/// and not from a temporary folder.
fn as_of_repository(failure: Failure, roots: &[&Path]) -> Failure {
    let told = |text: String| {
        roots.iter().fold(text, |text, root| text.replace(&format!("{}/", root.display()), ""))
    };
    Failure { because: failure.because.into_iter().map(told).collect(), ..failure }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn failures_name_files_of_the_repository() {
        let failure = Failure::step("kustomize failed").because("reading '/tmp/x/a.yaml' in /home/r/b");
        let told = as_of_repository(failure, &[Path::new("/tmp/x"), Path::new("/home/r")]);
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
        assert_eq!(one.added(), json!({"targetNamespace": "n"}));
        assert_eq!(of(json!({"path": "./"})), Recipe::plain(Path::new("")));
    }
}
