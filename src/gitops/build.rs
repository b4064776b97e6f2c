//! Builds a Flux Kustomization as kustomize-controller would: kustomize, then substitution.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use tempfile::TempDir;
use walkdir::WalkDir;

use super::build_cache;
use super::locate::locate;
use super::substitute::{SubstituteError, substitute};
use crate::failure::{Failure, Result};
use crate::object::{Object, ObjectRef};
use crate::tools::Kustomize;
use crate::yaml;

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

const SUBSTITUTE: &str = "kustomize.toolkit.fluxcd.io/substitute";

/// Builds `folder` as the Flux Kustomization `object` says; YAML documents, nothing substituted.
pub(super) async fn build(object: &Object, folder: &Path, kustomize: &Kustomize) -> Result<String> {
    let spec = &object.data["spec"];
    let own = find_kustomization(folder);
    let overlaid = OVERLAID.iter().any(|(field, _)| !spec[*field].is_null());
    if own && !overlaid {
        return build_cache::build(folder, kustomize).await;
    }
    let overlay = overlay(spec, folder, own)?;
    kustomize.build(overlay.path()).await
}

/// What kustomize looks for in a folder.
const KUSTOMIZATION_FILES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

fn find_kustomization(folder: &Path) -> bool {
    KUSTOMIZATION_FILES.iter().any(|name| folder.join(name).is_file())
}

pub(super) fn is_kustomization_file(path: &Path) -> bool {
    path.file_name().is_some_and(|name| KUSTOMIZATION_FILES.iter().any(|one| *one == name))
}

/// A temporary kustomization over `folder`. Flux writes these fields into the folder's own.
fn overlay(spec: &serde_json::Value, folder: &Path, own: bool) -> Result<TempDir> {
    let failed = |error: std::io::Error| Failure::step("no temporary folder to build in").caused_by(&error);
    let overlay = tempfile::tempdir().map_err(failed)?;
    let base =
        relative(&overlay.path().canonicalize().map_err(failed)?, &folder.canonicalize().map_err(failed)?);
    let resources = if own { vec![base.clone()] } else { manifests(folder, &base) };
    let mut kustomization = serde_json::json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": resources,
    });
    for (field, kustomize_field) in OVERLAID {
        kustomization[kustomize_field] = match &spec[field] {
            serde_json::Value::Null => continue,
            serde_json::Value::Array(paths) if field == "components" => {
                let within = |path: &serde_json::Value| Some(base.join(path.as_str()?).display().to_string());
                paths.iter().filter_map(within).map(serde_json::Value::String).collect()
            }
            value => value.clone(),
        };
    }
    std::fs::write(overlay.path().join("kustomization.yaml"), kustomization.to_string()).map_err(failed)?;
    Ok(overlay)
}

/// Every manifest under a folder that has no kustomization of its own, as Flux finds them: a
/// folder with one counts as one resource, and is not gone into.
fn manifests(folder: &Path, base: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries = WalkDir::new(folder).min_depth(1).sort_by_file_name().into_iter();
    while let Some(entry) = entries.next() {
        let Ok(entry) = entry else { continue };
        let within = base.join(entry.path().strip_prefix(folder).unwrap_or(entry.path()));
        if entry.file_type().is_dir() {
            if find_kustomization(entry.path()) {
                entries.skip_current_dir();
                found.push(within);
            }
        } else if entry.path().extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
        {
            found.push(within);
        }
    }
    found
}

/// The way from one absolute folder to another; kustomize takes no absolute paths.
fn relative(from: &Path, to: &Path) -> PathBuf {
    let (from, to): (Vec<Component<'_>>, Vec<Component<'_>>) =
        (from.components().collect(), to.components().collect());
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from[shared..].iter().map(|_| Component::ParentDir);
    up.chain(to[shared..].iter().copied()).collect()
}

/// Where a built text comes from, for failures.
pub(super) struct Origin<'a> {
    pub(super) id: &'a ObjectRef,
    pub(super) root: &'a Path,
    pub(super) folder: &'a Path,
}

/// The objects of a built text, substitutions made.
pub(super) fn objects(
    built: &str,
    variables: Option<&BTreeMap<String, String>>,
    origin: &Origin<'_>,
) -> Result<Vec<Object>> {
    let mut objects = Vec::new();
    for document in documents(built) {
        let plain: Object = object(document, origin)?;
        objects.push(match variables {
            Some(variables) if !is_exempt(&plain) => {
                let text =
                    substitute(document, variables).map_err(|error| refusal(&error, &plain, origin))?;
                object(&text, origin)?
            }
            _ => plain,
        });
    }
    Ok(objects)
}

fn documents(built: &str) -> impl Iterator<Item = &str> {
    built
        .split("\n---\n")
        .map(|document| document.strip_prefix("---\n").unwrap_or(document))
        .filter(|document| !document.trim().is_empty())
}

fn object(document: &str, origin: &Origin<'_>) -> Result<Object> {
    yaml::from_str(document, origin.folder).map_err(|failure| {
        // Line and column would be those of the built text, which nobody has.
        Failure::input(format!("{} builds to what is no object", origin.id))
            .because(failure.because.join(": "))
    })
}

fn is_exempt(object: &Object) -> bool {
    let is_disabled = |map: &Option<BTreeMap<String, String>>| {
        map.as_ref().and_then(|map| map.get(SUBSTITUTE)).is_some_and(|value| value == "disabled")
    };
    is_disabled(&object.metadata.labels) || is_disabled(&object.metadata.annotations)
}

fn refusal(error: &SubstituteError, object: &Object, origin: &Origin<'_>) -> Failure {
    let (wanted, hint) = match error {
        SubstituteError::Undefined(name) => (
            format!("${{{name}"),
            format!(
                "define {name} in the cluster's settings.yaml (or secrets), or give it a default: ${{{name}:=…}}"
            ),
        ),
        SubstituteError::Malformed(text) => {
            (text.clone(), "write `$$` for a dollar sign that Flux should leave alone".to_owned())
        }
    };
    let failure = Failure::input(format!("{error} in {}, which {} builds", ObjectRef::of(object), origin.id))
        .hint(hint);
    let found = locate(origin.root, origin.folder, &wanted)
        .or_else(|| locate(origin.root, &origin.root.join("kubernetes"), &wanted));
    match found {
        Some(location) => failure.at(location),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_between_folders() {
        assert_eq!(relative(Path::new("/tmp/x"), Path::new("/home/a/b")), Path::new("../../home/a/b"));
        assert_eq!(relative(Path::new("/tmp/x"), Path::new("/tmp/y")), Path::new("../y"));
    }

    #[test]
    fn each_object_is_substituted_unless_it_is_exempt() {
        let built = "apiVersion: v1\nkind: A\nmetadata:\n  name: a\nspec:\n  port: ${PORT}\n---\napiVersion: v1\nkind: B\nmetadata:\n  annotations:\n    kustomize.toolkit.fluxcd.io/substitute: disabled\n  name: b\nspec: ${PORT}\n";
        let id = ObjectRef::cluster_scoped("v1", "K", "k");
        let origin = Origin { id: &id, root: Path::new("/"), folder: Path::new("/nonexistent") };
        let variables = BTreeMap::from([("PORT".to_owned(), "80".to_owned())]);
        let objects = objects(built, Some(&variables), &origin).unwrap();
        assert_eq!(objects[0].data["spec"]["port"], 80);
        assert_eq!(objects[1].data["spec"], "${PORT}");
    }
}
