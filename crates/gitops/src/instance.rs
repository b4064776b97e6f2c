//! What the Flux operator creates from a FluxInstance: the source and the root Kustomization (flux-operator
//! v0.59: `syncTmpl`), and the patches that it applies to them.

use std::path::Path;

use serde_json::{Value, json};

use bootstrapper_core::yaml;

use super::root::{Rank, Root};

/// The default namespace of a FluxInstance.
const FLUX_SYSTEM: &str = "flux-system";

/// Kinds that the operator creates from `sync`. Patches of other kinds change only the controllers.
const KINDS: [&str; 4] = ["Kustomization", "GitRepository", "OCIRepository", "Bucket"];

/// The `spec` of a FluxInstance: its own, or from the values of its chart or of a HelmRelease; and its
/// namespace, if set.
pub(super) fn spec_of(object: &Value) -> Option<(&Value, Option<&str>)> {
    let namespace = object["metadata"]["namespace"].as_str();
    let (spec, namespace) = match object["kind"].as_str() {
        Some("FluxInstance") => (&object["spec"], namespace),
        Some("HelmRelease") => {
            let spec = &object["spec"];
            let chart = spec["chart"]["spec"]["chart"].as_str();
            if chart.is_some_and(|chart| !chart.ends_with("flux-instance")) {
                return None;
            }
            (&spec["values"]["instance"], spec["targetNamespace"].as_str().or(namespace))
        }
        None => (&object["instance"], None),
        Some(_) => return None,
    };
    spec.is_object().then_some((spec, namespace))
}

/// The `spec` of the FluxInstance in a manifest.
pub(super) fn beside(text: &str) -> Option<Value> {
    if !text.contains("kind: FluxInstance") {
        return None;
    }
    let documents = yaml::from_multiple::<Value>(text, Path::new("manifest")).ok()?;
    let mut instances = documents.iter().filter(|one| one["kind"] == "FluxInstance");
    instances.find_map(|one| spec_of(one).map(|(spec, _)| spec.clone()))
}

/// What the operator creates from a FluxInstance. `spec.kustomize.patches` are not applied yet.
pub(super) fn root_of(object: &Value) -> Option<Root> {
    let (spec, namespace) = spec_of(object)?;
    let sync = &spec["sync"];
    let (path, url) = (sync["path"].as_str()?, sync["url"].as_str()?);
    if path.contains("${") || url.is_empty() {
        return None;
    }
    let namespace = namespace.unwrap_or(FLUX_SYSTEM);
    let name = sync["name"].as_str().filter(|name| !name.is_empty()).unwrap_or(namespace);
    let kind = sync["kind"].as_str().unwrap_or("GitRepository");
    let mut source = json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"interval": sync["interval"].as_str().unwrap_or("1m")},
    });
    match kind {
        "OCIRepository" => source["spec"]["ref"] = json!({"tag": sync["ref"]}),
        "Bucket" => source["spec"]["bucketName"] = sync["ref"].clone(),
        _ => source["spec"]["ref"] = json!({"name": sync["ref"]}),
    }
    source["spec"][if kind == "Bucket" { "endpoint" } else { "url" }] = url.into();
    let is_said = |text: &&str| !text.is_empty();
    if let Some(secret) = sync["pullSecret"].as_str().filter(is_said) {
        source["spec"]["secretRef"] = json!({"name": secret});
    }
    if let Some(provider) = sync["provider"].as_str().filter(is_said) {
        source["spec"]["provider"] = provider.into();
    }
    let mut sync = json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"interval": "10m", "path": path, "prune": true, "sourceRef": {"kind": kind, "name": name}},
    });
    if spec["cluster"]["multitenant"] == true {
        sync["spec"]["serviceAccountName"] = "kustomize-controller".into();
    }
    Some(Root {
        source: serde_json::from_value(source).ok()?,
        sync: serde_json::from_value(sync).ok()?,
        rank: Rank::Instance,
        instance: Some(spec.clone()),
    })
}

/// The patches of a FluxInstance that may change its source or root Kustomization.
pub(super) fn patches(spec: &Value) -> Vec<Value> {
    let all = spec["kustomize"]["patches"].as_array().into_iter().flatten();
    all.filter(|patch| concerns_sync(patch)).cloned().collect()
}

/// Whether a patch may apply to what is created from `sync`. Without a target, it names its own.
fn concerns_sync(patch: &Value) -> bool {
    let target = &patch["target"];
    if let Some(pattern) = target["kind"].as_str().filter(|kind| !kind.is_empty()) {
        // kustomize treats it as a regular expression.
        return KINDS
            .iter()
            .any(|kind| pattern == *kind || (has_operators(pattern) && may_match(pattern, kind)));
    }
    if target.is_object() {
        return true;
    }
    let text = patch["patch"].as_str().unwrap_or_default();
    let parsed = bootstrapper_core::yaml::from_str::<Value>(text, std::path::Path::new("patch"));
    parsed.is_ok_and(|own| own["kind"].as_str().is_some_and(|kind| KINDS.contains(&kind)))
}

fn has_operators(pattern: &str) -> bool {
    pattern.contains(['.', '*', '|', '(', '[', '?', '+', '^', '$'])
}

/// Whether a pattern may match; if so, kustomize decides.
fn may_match(pattern: &str, kind: &str) -> bool {
    let literal = |part: &str| part.trim_matches(['(', ')', '^', '$']).to_owned();
    let parts: Vec<String> = pattern.split('|').map(literal).collect();
    let is_plain = |part: &String| !has_operators(part);
    !parts.iter().all(is_plain) || parts.iter().any(|part| part == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_of_other_kinds_are_left_out() {
        let spec = json!({"kustomize": {"patches": [
            {"target": {"kind": "Deployment"}, "patch": "[]"},
            {"target": {"kind": "(Kustomization|GitRepository)"}, "patch": "[1]"},
            {"target": {"kind": "Kustomization", "name": "flux-system"}, "patch": "[2]"},
            {"patch": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n"},
            {"patch": "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: flux-system}\n"},
        ]}});
        assert_eq!(patches(&spec).len(), 3);
    }

    #[test]
    fn a_bucket_has_an_endpoint() {
        let instance = json!({"kind": "FluxInstance", "metadata": {"name": "flux", "namespace": "flux-system"}, "spec": {
            "cluster": {"multitenant": true},
            "sync": {"kind": "Bucket", "url": "s3.example.org", "ref": "flux", "path": "clusters/a", "provider": "aws"}}});
        let root = root_of(&instance).unwrap();
        assert_eq!(root.source.data["spec"]["endpoint"], "s3.example.org");
        assert_eq!(root.source.data["spec"]["bucketName"], "flux");
        assert_eq!(root.sync.data["spec"]["serviceAccountName"], "kustomize-controller");
    }

    #[test]
    fn values_of_another_chart_are_no_instance() {
        let release = |chart: &str| {
            json!({"kind": "HelmRelease", "metadata": {"name": "x", "namespace": "n"}, "spec": {
                "chart": {"spec": {"chart": chart}},
                "values": {"instance": {"sync": {"url": "https://x.test/r", "path": "a"}}}}})
        };
        assert!(root_of(&release("flux-instance")).is_some());
        assert!(root_of(&release("mirror")).is_none());
    }
}
