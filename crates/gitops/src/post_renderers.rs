//! The post-rendering of helm-controller (its `internal/postrender`, v1.6.0): the post-renderers in their
//! order, then common metadata, then the origin labels.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use bootstrapper_core::object::Object;
use bootstrapper_tools::{HookRendering, PostRendering};

/// The used fields of an entry of `patches` and `images`; others are dropped.
const PATCH: [&str; 2] = ["patch", "target"];
const TARGET: [&str; 7] =
    ["group", "version", "kind", "name", "namespace", "labelSelector", "annotationSelector"];
const IMAGE: [&str; 4] = ["name", "newName", "newTag", "digest"];

/// The post-rendering of a HelmRelease.
pub(super) fn post_rendering(release: &Object) -> PostRendering {
    let spec = &release.data["spec"];
    let renderers = spec["postRenderers"].as_array().into_iter().flatten();
    let own = renderers.filter(|renderer| renderer["kustomize"].is_object()).map(|renderer| {
        let kustomize = &renderer["kustomize"];
        let patches = listed(&kustomize["patches"]).map(|patch| {
            let mut kept = only(patch, &PATCH);
            if patch["target"].is_object() {
                kept["target"] = only(&patch["target"], &TARGET);
            }
            kept
        });
        let images = listed(&kustomize["images"]).map(|image| only(image, &IMAGE));
        kustomization(json!({"patches": patches.collect::<Vec<_>>(), "images": images.collect::<Vec<_>>()}))
    });
    PostRendering {
        kustomizations: own.chain([metadata(release)]).collect(),
        // Helm 4's default (the controller's feature gate `UseHelm3Defaults` is off).
        hooks: match spec["postRenderStrategy"].as_str() {
            Some("separate") => HookRendering::Separate,
            Some("nohooks") => HookRendering::Left,
            _ => HookRendering::Combined,
        },
    }
}

/// The labels that helm-controller sets on its objects, with the HelmRelease's name.
pub(super) fn origin_labels(release: &Object) -> BTreeMap<String, String> {
    let metadata = &release.metadata;
    let label = |key: &str, value: &Option<String>| {
        (format!("helm.toolkit.fluxcd.io/{key}"), value.clone().unwrap_or_default())
    };
    BTreeMap::from([label("name", &metadata.name), label("namespace", &metadata.namespace)])
}

/// Common metadata and origin labels are set on the objects, not on their pod templates.
fn metadata(release: &Object) -> Value {
    let common = &release.data["spec"]["commonMetadata"];
    let texts = |field: &str| -> BTreeMap<String, String> {
        let entries = common[field].as_object().into_iter().flatten();
        entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    };
    let mut labels = texts("labels");
    labels.extend(origin_labels(release));
    let adding = |kind: &str, field: &str, entries: BTreeMap<String, String>| {
        let adding = json!({
            "apiVersion": "builtin", "kind": kind, "metadata": {"name": field}, field: entries,
            "fieldSpecs": [{"path": format!("metadata/{field}"), "create": true}],
        });
        adding.to_string()
    };
    kustomization(json!({"transformers": [
        adding("LabelTransformer", "labels", labels),
        adding("AnnotationsTransformer", "annotations", texts("annotations")),
    ]}))
}

fn kustomization(mut fields: Value) -> Value {
    fields["apiVersion"] = "kustomize.config.k8s.io/v1beta1".into();
    fields["kind"] = "Kustomization".into();
    fields
}

fn listed(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn only(object: &Value, keys: &[&str]) -> Value {
    let entries = object.as_object().into_iter().flatten();
    let kept = entries.filter(|(key, _)| keys.contains(&key.as_str()));
    Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn post_renderers_come_in_order_and_metadata_last() {
        let release: Object = serde_json::from_value(json!({
            "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease",
            "metadata": {"name": "r", "namespace": "n"},
            "spec": {
                "postRenderStrategy": "nohooks",
                "commonMetadata": {"labels": {"team": "a", "helm.toolkit.fluxcd.io/name": "b"}},
                "postRenderers": [
                    {"kustomize": {"images": [{"name": "x", "newTag": "1", "tagSuffix": "-a"}]}},
                    {},
                    {"kustomize": {"patches": [{"patch": "p", "target": {"kind": "Service"}, "options": {"allowNameChange": true}}]}},
                ],
            },
        }))
        .unwrap();
        let rendering = post_rendering(&release);
        assert_eq!(rendering.hooks, HookRendering::Left);
        let [images, patches, metadata] = rendering.kustomizations.try_into().unwrap();
        assert_eq!(images["images"], json!([{"name": "x", "newTag": "1"}]));
        assert_eq!(patches["patches"], json!([{"patch": "p", "target": {"kind": "Service"}}]));
        let labels: Value = serde_json::from_str(metadata["transformers"][0].as_str().unwrap()).unwrap();
        assert_eq!(
            labels["labels"],
            json!({"team": "a", "helm.toolkit.fluxcd.io/name": "r", "helm.toolkit.fluxcd.io/namespace": "n"})
        );
    }
}
