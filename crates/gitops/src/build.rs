//! Builds what a Flux Kustomization names, as kustomize-controller would: kustomize, with the
//! fields that Flux writes into the folder's kustomization. Each is built once for all clusters.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use serde_json::{Map, Value};
use tokio::sync::{OnceCell, Semaphore};
use walkdir::WalkDir;

use super::build_cache::{self, Unverified};
use super::decryption::Decrypted;
use super::documents::{Document, documents};
use super::fetch::complete;
use super::gather::{From, Gathered, gather};
use super::generator;
use super::pin::Pin;
use super::problem::{Problem, ProblemKind};
use super::stand_in::StandIn;
use super::unbuildable::unbuildable;
use bootstrapper_core::failure::{Failure, FailureKind, Location, Result};
use bootstrapper_core::files;
use bootstrapper_core::object::Object;
use bootstrapper_core::yaml;
use bootstrapper_tools::Kustomize;

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

type Outcome = (Result<Arc<Vec<Document>>, Problem>, Unverified);

type Built = Arc<OnceCell<Outcome>>;

/// Which program builds, what of (none for this repository), which folder, and what is added.
type Key = (String, Option<Pin>, PathBuf, String);

/// What was built already, for all clusters of a repository.
#[derive(Debug, Default)]
pub(super) struct Builds(Mutex<BTreeMap<Key, Built>>);

impl Builds {
    /// Builds, or takes what was built before.
    pub(super) async fn get(
        &self,
        recipe: &Recipe,
        root: &Path,
        kustomize: &Kustomize,
    ) -> Result<Arc<Vec<Document>>, Problem> {
        let cell = self.cell(recipe, None, kustomize);
        let build = || async {
            let (built, unverified) = build_cache::build(recipe, root, kustomize).await;
            (built.map(Arc::new), unverified)
        };
        cell.get_or_init(build).await.0.clone()
    }

    /// The same of another repository.
    pub(super) async fn get_pinned(
        &self,
        recipe: &Recipe,
        pin: &Pin,
        kustomize: &Kustomize,
    ) -> Result<Arc<Vec<Document>>, Problem> {
        let cell = self.cell(recipe, Some(pin), kustomize);
        // A commit verifies all that it holds.
        let build =
            || async { (build_cache::pinned(recipe, pin, kustomize).await.map(Arc::new), Unverified::new()) };
        cell.get_or_init(build).await.0.clone()
    }

    /// What the build of a recipe fetched that nothing verifies; nothing if it was not built.
    pub(super) fn unverified(&self, recipe: &Recipe, kustomize: &Kustomize) -> Unverified {
        self.cell(recipe, None, kustomize).get().map(|(_, unverified)| unverified.clone()).unwrap_or_default()
    }

    fn cell(&self, recipe: &Recipe, pin: Option<&Pin>, kustomize: &Kustomize) -> Built {
        let key = (kustomize.identity(), pin.cloned(), recipe.folder.clone(), recipe.added.clone());
        let mut builds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(builds.entry(key).or_default())
    }
}

/// kustomize is busy with one core; more of them at a time than cores would only be slower.
static AT_A_TIME: std::sync::LazyLock<Semaphore> =
    std::sync::LazyLock::new(|| Semaphore::new(available_parallelism().map_or(2, usize::from)));

/// Builds with kustomize.
pub(super) async fn run(
    recipe: &Recipe,
    root: &Path,
    kustomize: &Kustomize,
) -> Result<Vec<Document>, Problem> {
    run_with(recipe, root, kustomize, &Decrypted::new()).await
}

/// Builds with kustomize, which sees some files decrypted.
pub(super) async fn run_with(
    recipe: &Recipe,
    root: &Path,
    kustomize: &Kustomize,
    others: &Decrypted,
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

/// What a manifest of the repository, or at an address, builds to.
pub(super) async fn manifest(location: &str, root: &Path, kustomize: &Kustomize) -> Result<String, Problem> {
    let own = serde_json::json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [location],
    });
    let others = Decrypted::new();
    let from = From { root, others: &others, is_clone: false };
    // A file of its own, whatever the repository has at its root.
    let mut gathered = gather(from, Path::new(""), Some((KUSTOMIZATION_FILES[0], own)))?;
    for other in &KUSTOMIZATION_FILES[1..] {
        gathered.files.remove(Path::new(other));
    }
    kustomized(gathered, Path::new(""), root, kustomize).await.map(|(built, _)| built)
}

async fn kustomized(
    gathered: Gathered,
    folder: &Path,
    root: &Path,
    kustomize: &Kustomize,
) -> Result<(String, StandIn), Problem> {
    let failed = |failure: Failure| Problem::new(ProblemKind::UnbuildableKustomization, failure);
    let tree = complete(gathered, kustomize.remotes()).await?;
    let stand_in = StandIn::new(&tree, folder)
        .map_err(|error| failed(Failure::step("no temporary folder to build in").caused_by(&error)))?;
    drop(tree);
    let _turn = AT_A_TIME.acquire().await;
    let built = kustomize.build(&stand_in.folder).await;
    let built = built.map_err(|failure| failed(as_of_repository(failure, &[&stand_in.root, root])))?;
    Ok((built, stand_in))
}

/// All that a build reads, and whether kustomize's notes belong to the objects.
pub(super) fn gathered(
    recipe: &Recipe,
    root: &Path,
    others: &Decrypted,
) -> Result<(Gathered, bool), Problem> {
    let file = find_kustomization(root, &recipe.folder);
    let name = file.as_deref().and_then(Path::file_name).and_then(std::ffi::OsStr::to_str);
    let name = name.unwrap_or(KUSTOMIZATION_FILES[0]).to_owned();
    let (own, has_notes) = generated(recipe, root, file.as_deref())?;
    let gathered = gather(From { root, others, is_clone: false }, &recipe.folder, Some((&name, own)))?;
    Ok((gathered, has_notes))
}

/// The kustomization to build, and whether kustomize's notes belong to the objects.
fn generated(recipe: &Recipe, root: &Path, file: Option<&Path>) -> Result<(Value, bool), Problem> {
    let refused = |kind| move |failure| Problem::new(kind, failure);
    let added = recipe.added();
    let far = added["components"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .find(|path| !generator::is_local(path));
    if let Some(far) = far {
        let failure = Failure::input(format!("component {far} is not of this repository"))
            .hint("Flux takes only components that are named relative to spec.path");
        return Err(refused(ProblemKind::UnbuildableKustomization)(failure));
    }
    let fields = match file {
        None => {
            let manifests = manifests(&root.join(&recipe.folder), Path::new("."));
            generator::of_manifests(&manifests.map_err(refused(ProblemKind::ExcessiveInput))?)
        }
        Some(file) => {
            let text = files::read_text(root, file).map_err(|refusal| {
                let failure = Failure::input(format!("{} cannot be read", file.display())).because(&refusal);
                let kind = match refusal {
                    files::Refusal::Outside(_) => ProblemKind::OutsideRepository,
                    _ => ProblemKind::UnbuildableKustomization,
                };
                Problem::new(kind, failure)
            })?;
            if let Some(excess) = yaml::excess(&text) {
                let place = Location { file: file.to_owned(), line: excess.line, column: excess.column };
                let failure =
                    Failure::input(format!("{} cannot be read", file.display())).because(excess.what);
                return Err(refused(ProblemKind::ExcessiveInput)(failure.at(place)));
            }
            match yaml::from_str(&text, file).map_err(refused(ProblemKind::UnbuildableKustomization))? {
                Value::Object(fields) => fields,
                Value::Null => Map::new(),
                _ => {
                    let failure = Failure::input(format!("{} is no kustomization", file.display()));
                    return Err(refused(ProblemKind::UnbuildableKustomization)(failure));
                }
            }
        }
    };
    let generated = generator::generate(fields, file.is_some(), &added, root, &recipe.folder);
    Ok((generated.kustomization, generated.has_notes))
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
pub(super) const KUSTOMIZATION_FILES: [&str; 3] =
    ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The kustomization file of a folder of the repository, if it has one.
pub(super) fn find_kustomization(root: &Path, folder: &Path) -> Option<PathBuf> {
    KUSTOMIZATION_FILES.iter().map(|name| folder.join(name)).find(|file| files::is_file(root, file))
}

/// How many files and folders are looked at for manifests.
const ENTRIES: usize = 50_000;

/// Every manifest under a folder that has no kustomization of its own, as Flux finds them: a
/// folder with one counts as one resource, and is not gone into.
fn manifests(folder: &Path, base: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    // Sorted afterwards: a folder of millions of files is not read to its end first.
    let mut entries = WalkDir::new(folder).min_depth(1).into_iter();
    let mut looked_at = 0;
    while let Some(entry) = entries.next() {
        let Ok(entry) = entry else { continue };
        looked_at += 1;
        if looked_at > ENTRIES {
            return Err(Failure::input(format!("{} cannot be built", folder.display())).because(format!(
                "it holds more than {ENTRIES} files, and no kustomization says which count"
            )));
        }
        let within = base.join(entry.path().strip_prefix(folder).unwrap_or(entry.path()));
        if entry.file_type().is_dir() {
            let has_own = KUSTOMIZATION_FILES.iter().any(|name| entry.path().join(name).is_file());
            if has_own {
                entries.skip_current_dir();
                found.push(within);
            }
        } else if is_yaml(entry.path()) {
            found.push(within);
        }
    }
    found.sort();
    Ok(found)
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
