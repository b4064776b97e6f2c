//! Applies `spec.kustomize.patches` of a FluxInstance to its source and root Kustomization, with kustomize like
//! the operator.

use std::path::Path;

use serde_json::{Value, json};

use super::build;
use super::instance;
use super::problem::Problem;
use super::recipe::Recipe;
use super::root::Root;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_core::private::Folder;
use bootstrapper_tools::Kustomize;

/// Applies the patches. On failure the objects are unchanged, and the problem is returned.
pub(super) async fn patched(root: Root, kustomize: &Kustomize) -> (Root, Option<Problem>) {
    let patches = root.instance.as_ref().map(instance::patches).unwrap_or_default();
    if patches.is_empty() {
        return (root, None);
    }
    match applied(&root, &patches, kustomize).await {
        Ok(patched) => (patched, None),
        Err(problem) => (root, problem),
    }
}

async fn applied(root: &Root, patches: &[Value], kustomize: &Kustomize) -> Result<Root, Option<Problem>> {
    let folder = Folder::in_memory().map_err(|_| None)?;
    let place = folder.path().canonicalize().map_err(|_| None)?;
    let write = |name: &str, content: String| std::fs::write(place.join(name), content).map_err(|_| None);
    let text = |object: &Object| serde_json::to_string(object).map_err(|_| None);
    write("source.yaml", text(&root.source)?)?;
    write("sync.yaml", text(&root.sync)?)?;
    let kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": ["source.yaml", "sync.yaml"],
        "patches": patches.iter().map(only_known).collect::<Vec<_>>(),
    });
    write("kustomization.yaml", kustomization.to_string())?;
    let built = build::run(&Recipe::plain(Path::new("")), &place, kustomize).await;
    let built = built.map_err(|mut problem| {
        "spec.kustomize.patches of the FluxInstance cannot be applied".clone_into(&mut problem.failure.what);
        problem.failure.location = None;
        Some(problem)
    })?;
    let find = |old: &Object| {
        let kind = ObjectRef::of(old).kind;
        built.iter().map(|one| &one.object).find(|one| ObjectRef::of(one).kind == kind).cloned()
    };
    let source = find(&root.source).unwrap_or_else(|| root.source.clone());
    let sync = find(&root.sync).unwrap_or_else(|| root.sync.clone());
    Ok(Root { source, sync, ..root.clone() })
}

/// A patch, reduced to the fields that kustomize knows.
fn only_known(patch: &Value) -> Value {
    let fields = ["patch", "target", "options"].into_iter().filter(|field| !patch[*field].is_null());
    fields.map(|field| (field.to_owned(), patch[field].clone())).collect::<serde_json::Map<_, _>>().into()
}
