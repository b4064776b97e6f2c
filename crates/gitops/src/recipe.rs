//! The inputs of a build: a folder, the additions of a Flux Kustomization, and all files that it reads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};
use walkdir::WalkDir;

use super::documents::normal;
use super::gather::{From, Gathered, Others, gather};
use super::generator;
use super::ignore::Ignore;
use super::layout::{KUSTOMIZATION_FILES, find_kustomization, is_yaml};
use super::problem::{Problem, ProblemKind};
use bootstrapper_core::failure::{Failure, Location, Result};
use bootstrapper_core::files;
use bootstrapper_core::object::Object;
use bootstrapper_core::yaml;

/// A build: a folder, and the additions of a Flux Kustomization.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Recipe {
    /// Relative to the repository.
    pub(super) folder: PathBuf,
    /// The fields of the Flux Kustomization that change the build; JSON, sorted by name.
    pub(super) added: String,
    /// The files that Flux excludes from the source.
    pub(super) ignore: Arc<Ignore>,
}

impl Recipe {
    /// The build of a folder of this repository by the Flux Kustomization `object`.
    pub(super) fn of(object: &Object, folder: PathBuf) -> Self {
        let spec = &object.data["spec"];
        let added: BTreeMap<&str, &Value> = generator::FIELDS
            .iter()
            .filter(|field| !spec[**field].is_null())
            .map(|field| (*field, &spec[*field]))
            .collect();
        Self { folder, added: serde_json::json!(added).to_string(), ignore: Arc::default() }
    }

    /// The same for a source that excludes files.
    #[must_use]
    pub(super) fn without(self, ignore: Arc<Ignore>) -> Self {
        Self { ignore, ..self }
    }

    /// A folder without additions.
    pub(super) fn plain(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), added: "{}".to_owned(), ignore: Arc::default() }
    }

    /// The additions.
    pub(super) fn added(&self) -> Value {
        serde_json::from_str(&self.added).unwrap_or_default()
    }
}

/// The folder that a Flux Kustomization builds, relative to the repository.
pub(super) fn path_of(object: &Object) -> PathBuf {
    let path = object.data["spec"]["path"].as_str().unwrap_or("./");
    normal(Path::new(path.trim_start_matches('/')))
}

/// All inputs of a build, and whether origin annotations belong to the objects.
pub(super) fn gathered(recipe: &Recipe, root: &Path, others: &Others) -> Result<(Gathered, bool), Problem> {
    let file = find_kustomization(root, &recipe.folder).filter(|file| !recipe.ignore.excludes(file));
    let name = file.as_deref().and_then(Path::file_name).and_then(std::ffi::OsStr::to_str);
    let name = name.unwrap_or(KUSTOMIZATION_FILES[0]).to_owned();
    let (own, has_notes) = generated(recipe, root, file.as_deref())?;
    let from = From { root, others, is_clone: false, ignore: Some(&recipe.ignore) };
    let gathered = gather(from, &recipe.folder, Some((&name, own)))?;
    Ok((gathered, has_notes))
}

/// The kustomization to build, and whether origin annotations belong to the objects.
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
        let failure = Failure::input(format!("component {far} is not in the repository"))
            .hint("Flux supports only components relative to spec.path");
        return Err(refused(ProblemKind::UnbuildableKustomization)(failure));
    }
    let fields = match file {
        None => {
            let is_excluded = |within: &Path| {
                let file = recipe.folder.join(within);
                let is_no_object =
                    || files::read_text(root, &file).is_ok_and(|text| recipe.ignore.excludes_text(&text));
                recipe.ignore.excludes(&file) || is_no_object()
            };
            let manifests = manifests(&root.join(&recipe.folder), Path::new("."), &is_excluded);
            generator::of_manifests(&manifests.map_err(refused(ProblemKind::ExcessiveInput))?)
        }
        Some(file) => {
            let text = files::read_text(root, file).map_err(|refusal| {
                let failure = Failure::input(format!("cannot read {}", file.display())).because(&refusal);
                let kind = match refusal {
                    files::Refusal::Outside(_) => ProblemKind::OutsideRepository,
                    _ => ProblemKind::UnbuildableKustomization,
                };
                Problem::new(kind, failure)
            })?;
            if let Some(excess) = yaml::excess(&text) {
                let place = Location { file: file.to_owned(), line: excess.line, column: excess.column };
                let failure = Failure::input(format!("cannot read {}", file.display())).because(excess.what);
                return Err(refused(ProblemKind::ExcessiveInput)(failure.at(place)));
            }
            match yaml::from_str(&text, file).map_err(refused(ProblemKind::UnbuildableKustomization))? {
                Value::Object(fields) => fields,
                Value::Null => Map::new(),
                _ => {
                    let failure = Failure::input(format!("{} is not a kustomization", file.display()));
                    return Err(refused(ProblemKind::UnbuildableKustomization)(failure));
                }
            }
        }
    };
    let generated = generator::generate(fields, file.is_some(), &added, root, &recipe.folder);
    Ok((generated.kustomization, generated.has_notes))
}

/// The maximum number of files and folders that are searched for manifests.
const ENTRIES: usize = 50_000;

/// Every manifest under a folder without a kustomization, found like Flux: a subfolder with one is a single
/// resource, and not searched.
fn manifests(folder: &Path, base: &Path, is_excluded: &dyn Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    // Sorted afterwards: the walk of a folder with millions of files stops early.
    let mut entries = WalkDir::new(folder).min_depth(1).into_iter();
    let mut looked_at = 0;
    while let Some(entry) = entries.next() {
        let Ok(entry) = entry else { continue };
        looked_at += 1;
        if looked_at > ENTRIES {
            return Err(Failure::input(format!("cannot build {}", folder.display()))
                .because(format!("it contains more than {ENTRIES} files and no kustomization")));
        }
        let plain = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        let within = base.join(plain);
        if entry.file_type().is_dir() {
            let is_own = |name: &str| entry.path().join(name).is_file() && !is_excluded(&plain.join(name));
            let has_own = KUSTOMIZATION_FILES.iter().any(|name| is_own(name));
            if has_own {
                entries.skip_current_dir();
                found.push(within);
            }
        } else if is_yaml(entry.path()) && !is_excluded(plain) {
            found.push(within);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

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
