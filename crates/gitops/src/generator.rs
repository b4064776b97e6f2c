//! The kustomization that Flux builds: a folder's own, with the fields of the Flux Kustomization added (the
//! generator of `fluxcd/pkg/kustomize`).

use std::path::{Component, Path};

use serde_json::{Map, Value, json};

use bootstrapper_core::files;

/// Fields of a Flux Kustomization that change its build.
pub(super) const FIELDS: [&str; 8] = [
    "targetNamespace",
    "namePrefix",
    "nameSuffix",
    "patches",
    "images",
    "components",
    "ignoreMissingComponents",
    "buildMetadata",
];

/// Makes kustomize annotate each object with its origin.
const NOTES: &str = "originAnnotations";

/// A kustomization to build.
#[derive(Debug, PartialEq)]
pub(super) struct Generated {
    pub(super) kustomization: Value,
    /// Whether origin annotations are part of what Flux applies.
    pub(super) has_notes: bool,
}

/// The kustomization of a folder without one.
pub(super) fn of_manifests(manifests: &[impl AsRef<Path>]) -> Map<String, Value> {
    let paths: Vec<_> = manifests.iter().map(|path| path.as_ref().display().to_string()).collect();
    // kustomize rejects empty ones.
    let fields =
        if paths.is_empty() { json!({"namespace": "_placeholder"}) } else { json!({"resources": paths}) };
    fields.as_object().cloned().unwrap_or_default()
}

/// Adds the fields of a Flux Kustomization to a kustomization. `is_own` says that it is a file of the
/// repository; `folder` in `root` is its location.
pub(super) fn generate(
    mut fields: Map<String, Value>,
    is_own: bool,
    spec: &Value,
    root: &Path,
    folder: &Path,
) -> Generated {
    fields.entry("apiVersion").or_insert("kustomize.config.k8s.io/v1beta1".into());
    fields.entry("kind").or_insert("Kustomization".into());
    if is_own && is_empty(fields.get("resources")) {
        fields.insert("buildMetadata".into(), json!([NOTES]));
    }
    for (field, kustomize_field) in
        [("targetNamespace", "namespace"), ("namePrefix", "namePrefix"), ("nameSuffix", "nameSuffix")]
    {
        if let Some(text) = spec[field].as_str() {
            fields.insert(kustomize_field.into(), text.into());
        }
    }
    let patches =
        items(&spec["patches"]).map(|patch| json!({"patch": patch["patch"], "target": patch["target"]}));
    append(&mut fields, "patches", patches.collect());
    let may_be_missing = spec["ignoreMissingComponents"] == true;
    let is_there =
        |path: &Value| path.as_str().is_some_and(|path| files::is_folder(root, &folder.join(path)));
    let components = items(&spec["components"]).filter(|path| !may_be_missing || is_there(path)).cloned();
    append(&mut fields, "components", components.collect());
    images(&mut fields, &spec["images"]);
    if !is_empty(spec.get("buildMetadata")) {
        fields.insert("buildMetadata".into(), spec["buildMetadata"].clone());
    }
    let has_notes = items(fields.get("buildMetadata").unwrap_or(&Value::Null)).any(|one| one == NOTES);
    if !has_notes {
        append(&mut fields, "buildMetadata", vec![NOTES.into()]);
    }
    Generated { kustomization: fields.into(), has_notes }
}

/// Flux supports only local components.
pub(super) fn is_local(component: &str) -> bool {
    const ADDRESSES: [&str; 8] =
        ["git::", "gh:", "ssh://", "https://", "http://", "git@", "github.com:", "github.com/"];
    let path = component.to_lowercase();
    let is_address = |start: &&str| path.len() > start.len() && path.starts_with(*start);
    let local = path.strip_prefix("file://").unwrap_or(&path);
    !ADDRESSES.iter().any(is_address) && Path::new(local).components().next() != Some(Component::RootDir)
}

/// Flux's images override those with the same name; a tag and a digest override each other.
fn images(fields: &mut Map<String, Value>, images: &Value) {
    let mut new = Vec::new();
    for image in items(images) {
        let own = fields.get_mut("images").and_then(Value::as_array_mut).into_iter().flatten();
        let same = own.chain(&mut new).find(|own| own["name"] == image["name"]);
        match same.and_then(Value::as_object_mut) {
            None => new.push(image.clone()),
            Some(own) => {
                let says = |field: &str| image[field].as_str().is_some_and(|text| !text.is_empty());
                if says("newName") {
                    own.insert("newName".into(), image["newName"].clone());
                }
                if says("newTag") || says("digest") {
                    own.insert("newTag".into(), image["newTag"].clone());
                    own.insert("digest".into(), image["digest"].clone());
                }
            }
        }
    }
    append(fields, "images", new);
}

fn append(fields: &mut Map<String, Value>, field: &str, more: Vec<Value>) {
    if more.is_empty() {
        return;
    }
    match fields.get_mut(field) {
        Some(Value::Array(own)) => own.extend(more),
        _ => {
            fields.insert(field.into(), more.into());
        }
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn is_empty(list: Option<&Value>) -> bool {
    list.is_none_or(|list| list.as_array().is_none_or(Vec::is_empty))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generated(own: &Value, spec: &Value) -> (Value, bool) {
        let Generated { mut kustomization, has_notes } =
            generate(own.as_object().cloned().unwrap(), true, spec, Path::new("/nowhere"), Path::new(""));
        let fields = kustomization.as_object_mut().unwrap();
        for field in ["apiVersion", "kind", "resources"] {
            fields.remove(field);
        }
        (kustomization, has_notes)
    }

    #[test]
    fn what_flux_says_is_written_into_the_kustomization() {
        let noted = |mut fields: Value| {
            fields["buildMetadata"] = json!([NOTES]);
            fields
        };
        let table = [
            (
                json!({"namePrefix": "own-", "namespace": "own"}),
                json!({"namePrefix": "flux-", "targetNamespace": "n"}),
                json!({"namePrefix": "flux-", "namespace": "n"}),
            ),
            (
                json!({"patches": [{"path": "p.yaml"}], "components": ["../c"]}),
                json!({"patches": [{"patch": "{}", "target": {"kind": "X"}}], "components": ["../d"]}),
                json!({"patches": [{"path": "p.yaml"}, {"patch": "{}", "target": {"kind": "X"}}], "components": ["../c", "../d"]}),
            ),
            (json!({}), json!({"components": ["../d"], "ignoreMissingComponents": true}), json!({})),
            (
                json!({"images": [{"name": "a", "newName": "b", "digest": "sha256:1"}]}),
                json!({"images": [{"name": "a", "newTag": "2"}, {"name": "c", "newTag": "3"}]}),
                json!({"images": [{"name": "a", "newName": "b", "newTag": "2", "digest": null}, {"name": "c", "newTag": "3"}]}),
            ),
        ];
        for (mut own, spec, expected) in table {
            own["resources"] = json!(["a.yaml"]);
            assert_eq!(generated(&own, &spec), (noted(expected), false), "{spec}");
        }
    }

    #[test]
    fn notes_stay_where_flux_applies_them() {
        let one = json!(["a.yaml"]);
        let table = [
            (json!({"resources": one}), json!({}), json!([NOTES]), false),
            (json!({"resources": one, "buildMetadata": [NOTES]}), json!({}), json!([NOTES]), true),
            (
                json!({"resources": one, "buildMetadata": ["managedByLabel"]}),
                json!({}),
                json!(["managedByLabel", NOTES]),
                false,
            ),
            (
                json!({"resources": one, "buildMetadata": [NOTES]}),
                json!({"buildMetadata": ["managedByLabel"]}),
                json!(["managedByLabel", NOTES]),
                false,
            ),
            (json!({"configMapGenerator": []}), json!({}), json!([NOTES]), true),
        ];
        for (own, spec, expected, has_notes) in table {
            let (kustomization, kept) = generated(&own, &spec);
            assert_eq!((&kustomization["buildMetadata"], kept), (&expected, has_notes), "{own} {spec}");
        }
    }

    #[test]
    fn an_empty_folder_builds_to_nothing() {
        assert_eq!(Value::from(of_manifests(&[] as &[&str])), json!({"namespace": "_placeholder"}));
        assert_eq!(Value::from(of_manifests(&["./a.yaml"])), json!({"resources": ["./a.yaml"]}));
    }

    #[test]
    fn components_are_of_the_repository() {
        for (component, expected) in [
            ("../c", true),
            ("c", true),
            ("/c", false),
            ("https://x.test/c", false),
            ("github.com/a/b", false),
            ("file:///c", false),
        ] {
            assert_eq!(is_local(component), expected, "{component}");
        }
    }
}
