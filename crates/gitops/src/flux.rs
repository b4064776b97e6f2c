//! The configuration of a cluster's Flux, as far as its repository shows: version, feature gates, restrictions
//! for tenants. It decides which rules apply.

use serde_json::Value;

use super::version_range;

/// The feature gate that makes an undefined variable an error.
const STRICT: &str = "StrictPostBuildSubstitutions";

/// The minor version of Flux 2 in which [`STRICT`] became the default (kustomize-controller 1.9).
const STRICT_SINCE: u64 = 9;

/// The configuration of a cluster's Flux.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FluxSetup {
    /// The declared version, or range of versions.
    pub version: Option<String>,
    /// Whether the Flux operator installs it, which adds its own kinds to those of Flux's CRDs.
    pub by_operator: bool,
    /// Whether an undefined variable is an error.
    pub strict_substitution: bool,
    /// Whether references to other namespaces are rejected (`--no-cross-namespace-refs`).
    pub no_cross_namespace: bool,
    /// The ServiceAccount of objects that set none (`--default-service-account`).
    pub default_service_account: Option<String>,
}

impl Default for FluxSetup {
    /// Without a declaration: the newest Flux with its defaults.
    fn default() -> Self {
        Self {
            version: None,
            by_operator: false,
            strict_substitution: true,
            no_cross_namespace: false,
            default_service_account: None,
        }
    }
}

impl FluxSetup {
    /// From a FluxInstance, or the manifests of `flux bootstrap`. Both may be empty.
    pub(super) fn of(instance: Option<&Value>, manifests: &[String]) -> Self {
        let mut setup = Self { by_operator: instance.is_some(), ..Self::default() };
        let mut texts: Vec<String> = manifests.to_vec();
        if let Some(spec) = instance {
            setup.version = spec["distribution"]["version"].as_str().map(str::to_owned);
            let cluster = &spec["cluster"];
            if cluster["multitenant"] == true {
                setup.no_cross_namespace = true;
                let account = cluster["tenantDefaultServiceAccount"].as_str().filter(|name| !name.is_empty());
                setup.default_service_account = Some(account.unwrap_or("default").to_owned());
            }
            let patches = spec["kustomize"]["patches"].as_array().into_iter().flatten();
            texts.extend(patches.filter(|patch| concerns_kustomize(patch)).map(Value::to_string));
        } else {
            setup.version = manifests.iter().find_map(|text| written_version(text));
        }
        let has_flag = |flag: &str| {
            let is_on = |text: &String| arguments(text, flag).last().is_some_and(|value| value != "false");
            texts.iter().any(is_on)
        };
        setup.no_cross_namespace |= has_flag("--no-cross-namespace-refs");
        let account =
            texts.iter().filter_map(|text| arguments(text, "--default-service-account").last()).next_back();
        setup.default_service_account = account.or(setup.default_service_account.take());
        setup.strict_substitution =
            texts.iter().filter_map(|text| gate(text)).next_back().unwrap_or_else(|| {
                setup.version.as_deref().is_none_or(|range| version_range::allows_since(range, STRICT_SINCE))
            });
        setup
    }
}

/// Whether a patch of a FluxInstance may change kustomize-controller.
fn concerns_kustomize(patch: &Value) -> bool {
    let target = &patch["target"];
    let is_deployment =
        target["kind"].as_str().is_none_or(|kind| kind.contains("Deployment") || kind.contains('*'));
    let name = target["name"].as_str().unwrap_or_default();
    is_deployment && (name.is_empty() || name.contains("kustomize-controller") || name.contains('*'))
}

/// The last value of the gate in a text.
fn gate(text: &str) -> Option<bool> {
    let (_, rest) = text.rsplit_once(&format!("{STRICT}="))?;
    if rest.starts_with("true") {
        Some(true)
    } else if rest.starts_with("false") {
        Some(false)
    } else {
        None
    }
}

/// The values of a command-line flag in a text of manifests or patches.
fn arguments<'a>(text: &'a str, flag: &'a str) -> impl Iterator<Item = String> + 'a {
    text.split(flag).skip(1).map(|rest| {
        let value = rest.strip_prefix('=').unwrap_or("true");
        value.chars().take_while(|c| c.is_alphanumeric() || "-._".contains(*c)).collect()
    })
}

/// The version that `flux bootstrap` writes into gotk-components.yaml: in the header, or as a label.
fn written_version(text: &str) -> Option<String> {
    let after = |mark: &str| text.split_once(mark).map(|(_, rest)| rest);
    let rest = after("# Flux Version:").or_else(|| after("app.kubernetes.io/version:"))?;
    let version = rest.lines().next()?.trim().trim_matches(['"', '\'']);
    version.starts_with(|c: char| c == 'v' || c.is_ascii_digit()).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(version: &str, patches: &Value) -> FluxSetup {
        let spec = json!({"distribution": {"version": version}, "kustomize": {"patches": patches}});
        FluxSetup::of(Some(&spec), &[])
    }

    fn gate_patch(target: &Value, value: bool) -> Value {
        let patch = format!(
            "- op: add\n  path: /spec/template/spec/containers/0/args/-\n  value: --feature-gates=A=true,{STRICT}={value}\n"
        );
        json!([{"target": target, "patch": patch}])
    }

    #[test]
    fn the_version_and_the_gate_decide_about_undefined_variables() {
        let none = json!([]);
        let kustomize = json!({"kind": "Deployment", "name": "kustomize-controller"});
        let helm = json!({"kind": "Deployment", "name": "helm-controller"});
        for (version, patches, strict) in [
            ("2.x", &none, true),
            ("2.8.x", &none, false),
            ("2.7.3", &none, false),
            ("v2.9.1", &none, true),
            ("2.8.x", &gate_patch(&kustomize, true), true),
            ("2.x", &gate_patch(&kustomize, false), false),
            ("2.x", &gate_patch(&helm, false), true),
        ] {
            assert_eq!(of(version, patches).strict_substitution, strict, "{version} {patches}");
        }
        assert!(FluxSetup::of(None, &[]).strict_substitution);
        let components =
            "---\n# This manifest was generated by flux. DO NOT EDIT.\n# Flux Version: v2.6.4\n".to_owned();
        let setup = FluxSetup::of(None, &[components]);
        assert_eq!((setup.version.as_deref(), setup.strict_substitution), (Some("v2.6.4"), false));
    }

    #[test]
    fn tenants_are_locked_in_by_the_instance_or_by_arguments() {
        let spec = json!({"cluster": {"multitenant": true, "tenantDefaultServiceAccount": "flux"}});
        let setup = FluxSetup::of(Some(&spec), &[]);
        assert!(setup.no_cross_namespace);
        assert_eq!(setup.default_service_account.as_deref(), Some("flux"));
        let patch =
            "value: --no-cross-namespace-refs=true\nvalue: --default-service-account=tenant\n".to_owned();
        let setup = FluxSetup::of(None, &[patch]);
        assert!(setup.no_cross_namespace);
        assert_eq!(setup.default_service_account.as_deref(), Some("tenant"));
    }
}
