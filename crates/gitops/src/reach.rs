//! What a root Kustomization reaches, as far as the files show it without a build: which other roots it
//! applies.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::documents::normal;
use super::layout::KUSTOMIZATION_FILES;
use super::root::Root;
use bootstrapper_core::object::{Object, ObjectRef};

/// The limit of folders that one root may reach.
const FOLDERS: usize = 20_000;

/// The files of a repository with Flux objects, and all kustomizations.
pub(super) type Index = Vec<(PathBuf, Vec<Value>)>;

/// Every folder and file that a root reaches: its folder, what that references, and the folders of the
/// Kustomizations there that have the same source.
pub(super) fn reach(index: &Index, root: &Root, folder: &Path) -> BTreeSet<PathBuf> {
    let base = root.base(folder);
    let mut reached = BTreeSet::new();
    let mut ahead = vec![folder.to_owned()];
    while let Some(folder) = ahead.pop() {
        if reached.len() > FOLDERS || !reached.insert(folder.clone()) {
            continue;
        }
        for (file, objects) in index.iter().filter(|(file, _)| file.starts_with(&folder)) {
            let here = file.parent().unwrap_or(Path::new(""));
            for object in objects {
                if is_kustomization(file) {
                    ahead.extend(named(object).map(|text| normal(&here.join(text))));
                } else if takes_from(object, &root.source) {
                    let path = object["spec"]["path"].as_str().unwrap_or_default();
                    ahead.push(base.join(normal(Path::new(path.trim_start_matches('/')))));
                }
            }
        }
    }
    reached
}

/// Whether a place is inside what is reached.
pub(super) fn reaches(reached: &BTreeSet<PathBuf>, place: &Path) -> bool {
    place.ancestors().any(|part| reached.contains(part))
}

/// How many Kustomizations in the repository have the source of a root.
pub(super) fn users(index: &Index, root: &Root) -> usize {
    index.iter().flat_map(|(_, objects)| objects).filter(|object| takes_from(object, &root.source)).count()
}

/// Whether a file is a kustomization, by its name.
pub(super) fn is_kustomization(file: &Path) -> bool {
    let name = file.file_name().and_then(std::ffi::OsStr::to_str);
    name.is_some_and(|name| KUSTOMIZATION_FILES.contains(&name))
}

/// The references of a kustomization to other folders.
fn named(kustomization: &Value) -> impl Iterator<Item = &str> {
    let lists = ["resources", "components", "bases"].into_iter().map(|field| &kustomization[field]);
    let texts = lists.flat_map(|list| list.as_array().into_iter().flatten()).filter_map(Value::as_str);
    texts.filter(|text| text.starts_with("../") && !text.contains("://"))
}

fn takes_from(object: &Value, source: &Object) -> bool {
    let id = ObjectRef::of(source);
    let reference = &object["spec"]["sourceRef"];
    object["kind"] == "Kustomization"
        && object["apiVersion"]
            .as_str()
            .is_some_and(|version| version.starts_with("kustomize.toolkit.fluxcd.io/"))
        && reference["kind"] == id.kind.as_str()
        && reference["name"] == id.name.as_str()
}
