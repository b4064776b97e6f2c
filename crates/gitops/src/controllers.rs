//! Command-line flags and feature gates of each Flux controller, from manifests and patches.

use std::path::Path;

use serde_json::Value;

use bootstrapper_core::yaml;

/// A manifest or patch, and the controllers that it configures.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// The name of a Deployment, or a pattern of kustomize for several; none for all.
    name: Option<String>,
    text: String,
}

impl Part {
    /// From a patch of a FluxInstance or a kustomization; none if it patches no Deployment.
    pub(super) fn of_patch(patch: &Value) -> Option<Self> {
        let target = &patch["target"];
        let is_deployment =
            target["kind"].as_str().is_none_or(|kind| kind.contains("Deployment") || kind.contains('*'));
        let text = patch["patch"].as_str().unwrap_or_default().to_owned();
        // Without a target, it names its own.
        let own = || {
            let own: Value = yaml::from_str(&text, Path::new("patch")).ok()?;
            Some(own["metadata"]["name"].as_str()?.to_owned())
        };
        let name = target["name"].as_str().map(str::to_owned).or_else(own);
        is_deployment.then_some(Self { name: name.filter(|name| !name.is_empty()), text })
    }

    /// From a file next to the root: manifests of `flux install`, and patches of them.
    pub(super) fn of_manifest(text: &str) -> Vec<Self> {
        let all = Self { name: None, text: text.to_owned() };
        let Ok(documents) = yaml::from_multiple::<Value>(text, Path::new("manifest")) else {
            return vec![all];
        };
        let parts = documents.iter().flat_map(|one| match one["kind"].as_str() {
            Some("Deployment") => {
                vec![Self {
                    name: one["metadata"]["name"].as_str().map(str::to_owned),
                    text: one.to_string(),
                }]
            }
            Some("Kustomization" | "Component") if one["apiVersion"].as_str().is_none_or(is_of_kustomize) => {
                let lists = ["patches", "patchesJson6902", "patchesStrategicMerge"].iter();
                let patches = lists.flat_map(|field| one[*field].as_array().into_iter().flatten());
                patches.filter_map(Self::of_written_patch).collect()
            }
            // A patch in its own file, of any controller.
            None => vec![Self { name: None, text: one.to_string() }],
            Some(_) => Vec::new(),
        });
        parts.collect()
    }

    fn of_written_patch(patch: &Value) -> Option<Self> {
        match patch {
            Value::String(text) => Self::of_patch(&serde_json::json!({"patch": text})),
            patch => Self::of_patch(patch),
        }
    }

    /// Whether it configures this controller.
    pub(super) fn concerns(&self, controller: &str) -> bool {
        let Some(pattern) = &self.name else { return true };
        let inner = pattern.trim_matches(['(', ')', '^', '$']);
        inner.split('|').any(|one| match one.split_once(['*', '.', '[', '+', '?', '(']) {
            None => one == controller,
            Some((before, _)) => controller.starts_with(before),
        })
    }

    /// The last value of a command-line flag; `true` if it has no value.
    pub(super) fn argument(&self, flag: &str) -> Option<String> {
        let values = self.text.split(flag).skip(1).map(|rest| {
            let value = rest.strip_prefix('=').unwrap_or("true");
            value.chars().take_while(|c| c.is_alphanumeric() || "-._".contains(*c)).collect::<String>()
        });
        values.last()
    }

    /// The last value of a feature gate.
    pub(super) fn gate(&self, name: &str) -> Option<bool> {
        let (_, rest) = self.text.rsplit_once(&format!("{name}="))?;
        let value = rest.trim_start_matches(['"', '\'']);
        [("true", true), ("false", false)]
            .iter()
            .find_map(|(text, is)| value.starts_with(text).then_some(*is))
    }
}

fn is_of_kustomize(api_version: &str) -> bool {
    api_version.starts_with("kustomize.config.k8s.io")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_is_about_the_controllers_that_it_names() {
        let of = |target: Value| Part::of_patch(&json!({"target": target, "patch": "--x=true"}));
        let both =
            of(json!({"kind": "Deployment", "name": "(kustomize-controller|helm-controller)"})).unwrap();
        assert!(both.concerns("helm-controller") && !both.concerns("notification-controller"));
        let all =
            of(json!({"kind": "Deployment", "labelSelector": "app.kubernetes.io/part-of=flux"})).unwrap();
        assert!(all.concerns("notification-controller"));
        assert!(
            of(json!({"kind": "Deployment", "name": ".*-controller"})).unwrap().concerns("helm-controller")
        );
        assert!(of(json!({"kind": "Kustomization"})).is_none());
        let own = Part::of_patch(&json!({"patch": "kind: Deployment\nmetadata: {name: helm-controller}\n"}))
            .unwrap();
        assert!(own.concerns("helm-controller") && !own.concerns("kustomize-controller"));
    }

    #[test]
    fn manifests_have_a_part_for_each_controller() {
        let text = "kind: Deployment\nmetadata: {name: kustomize-controller}\nspec: {args: [--feature-gates=A=false]}\n---\nkind: Deployment\nmetadata: {name: helm-controller}\n";
        let parts = Part::of_manifest(text);
        let gates: Vec<_> = parts
            .iter()
            .filter(|part| part.concerns("kustomize-controller"))
            .map(|part| part.gate("A"))
            .collect();
        assert_eq!(gates, [Some(false)]);
        let kustomization = "kind: Kustomization\npatches:\n- target: {kind: Deployment, name: helm-controller}\n  patch: |\n    - op: add\n      path: /x\n      value: --no-cross-namespace-refs=true\n";
        let parts = Part::of_manifest(kustomization);
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].argument("--no-cross-namespace-refs").as_deref(), Some("true"));
    }
}
