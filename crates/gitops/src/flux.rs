//! The configuration of a cluster's Flux, as far as its repository shows: version, feature gates, restrictions
//! for tenants. It decides which rules apply.

use std::collections::BTreeSet;

use serde_json::Value;

use super::controllers::Part;
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
    /// The controllers that reject references to other namespaces (`--no-cross-namespace-refs`).
    pub no_cross_namespace: BTreeSet<&'static str>,
    /// The ServiceAccount of objects that set none (`--default-service-account`).
    pub default_service_account: Option<String>,
    /// Whether kustomize-controller fetches no bases of other repositories (`--no-remote-bases`).
    pub no_remote_bases: bool,
    /// The controllers that are installed, where they are listed.
    pub components: Option<BTreeSet<String>>,
}

impl Default for FluxSetup {
    /// Without a declaration: the newest Flux with its defaults.
    fn default() -> Self {
        Self {
            version: None,
            by_operator: false,
            strict_substitution: true,
            no_cross_namespace: BTreeSet::new(),
            default_service_account: None,
            no_remote_bases: false,
            components: None,
        }
    }
}

impl FluxSetup {
    /// From a FluxInstance, or the manifests of `flux bootstrap`. Both may be empty. `version` is the installed one if
    /// neither declares one.
    pub(super) fn of(instance: Option<&Value>, manifests: &[String], version: Option<String>) -> Self {
        let mut setup = Self { by_operator: instance.is_some(), ..Self::default() };
        let parts: Vec<Part> = if let Some(spec) = instance {
            setup.version = spec["distribution"]["version"].as_str().map(str::to_owned);
            let patches = spec["kustomize"]["patches"].as_array().into_iter().flatten();
            patches.filter_map(Part::of_patch).collect()
        } else {
            setup.version = manifests.iter().find_map(|text| written_version(text)).or(version);
            let says = |text: &&String| SAID.iter().any(|word| text.contains(word));
            manifests.iter().filter(says).flat_map(|text| Part::of_manifest(text)).collect()
        };
        if let Some(cluster) = instance.map(|spec| &spec["cluster"]).filter(|one| one["multitenant"] == true)
        {
            setup.no_cross_namespace.extend(LOCKED_DOWN);
            setup.no_remote_bases = true;
            let account = cluster["tenantDefaultServiceAccount"].as_str().filter(|name| !name.is_empty());
            setup.default_service_account = Some(account.unwrap_or("default").to_owned());
        }
        let argument = |controller: &str, flag: &str| {
            let of_controller = parts.iter().filter(|part| part.concerns(controller));
            of_controller.filter_map(|part| part.argument(flag)).next_back()
        };
        for controller in LOCKED_DOWN {
            match argument(controller, "--no-cross-namespace-refs").as_deref() {
                Some("false") => setup.no_cross_namespace.remove(controller),
                Some(_) => setup.no_cross_namespace.insert(controller),
                None => false,
            };
        }
        let account = [KUSTOMIZE, HELM].iter().find_map(|one| argument(one, "--default-service-account"));
        setup.default_service_account = account.or(setup.default_service_account.take());
        if let Some(said) = argument(KUSTOMIZE, "--no-remote-bases") {
            setup.no_remote_bases = said != "false";
        }
        setup.components = match instance {
            Some(spec) => of_instance(spec).filter(|all| !all.is_empty()),
            None => manifests.iter().find_map(|text| written_components(text)),
        };
        let of_kustomize = parts.iter().filter(|part| part.concerns(KUSTOMIZE));
        let gate = of_kustomize.filter_map(|part| part.gate(STRICT)).next_back();
        setup.strict_substitution = gate.unwrap_or_else(|| {
            let by_image =
                manifests.iter().find_map(|text| image_version(text)).filter(|_| instance.is_none());
            match (by_image, setup.version.as_deref()) {
                (Some(minor), _) => minor >= STRICT_SINCE,
                (None, version) => {
                    version.is_none_or(|range| version_range::allows_since(range, STRICT_SINCE))
                }
            }
        });
        setup
    }
}

/// Manifests without any of these are not parsed.
const SAID: [&str; 4] =
    [STRICT, "--no-cross-namespace-refs", "--default-service-account", "--no-remote-bases"];

/// The controllers that a FluxInstance lists; none if a variable names one.
fn of_instance(spec: &Value) -> Option<BTreeSet<String>> {
    let listed = spec["components"].as_array()?;
    listed.iter().map(|one| Some(one.as_str().filter(|name| !name.contains('$'))?.to_owned())).collect()
}

/// The controllers that `flux bootstrap` writes into the header of gotk-components.yaml.
fn written_components(text: &str) -> Option<BTreeSet<String>> {
    let (_, rest) = text.split_once("# Components:")?;
    let names = rest.lines().next()?.split(',').map(|name| name.trim().to_owned());
    Some(names.filter(|name| !name.is_empty()).collect())
}

const KUSTOMIZE: &str = "kustomize-controller";
const HELM: &str = "helm-controller";

/// The controllers with the flag `--no-cross-namespace-refs` (flux-operator v0.59: `profileClusterMultitenant`).
const LOCKED_DOWN: [&str; 6] = [
    HELM,
    "image-automation-controller",
    "image-reflector-controller",
    KUSTOMIZE,
    "notification-controller",
    "source-watcher",
];

/// The minor version of the kustomize-controller image in a manifest: 1.9 is part of Flux 2.9.
fn image_version(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("/kustomize-controller:v1.")?;
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
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
        FluxSetup::of(Some(&spec), &[], None)
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
        assert!(FluxSetup::of(None, &[], None).strict_substitution);
        let components =
            "---\n# This manifest was generated by flux. DO NOT EDIT.\n# Flux Version: v2.6.4\n".to_owned();
        let setup = FluxSetup::of(None, &[components], None);
        assert_eq!((setup.version.as_deref(), setup.strict_substitution), (Some("v2.6.4"), false));
        let setup = FluxSetup::of(None, &[], Some("2.7.5".to_owned()));
        assert!(!setup.strict_substitution);
        let image = |tag: &str| format!("image: ghcr.io/fluxcd/kustomize-controller:{tag}\n");
        assert!(!FluxSetup::of(None, &[image("v1.8.2")], None).strict_substitution);
        assert!(FluxSetup::of(None, &[image("v1.9.0")], None).strict_substitution);
    }

    #[test]
    fn which_controllers_there_are() {
        let of = |spec: Value| FluxSetup::of(Some(&spec), &[], None).components;
        assert_eq!(of(json!({})), None);
        let named = of(json!({"components": ["source-controller", "source-watcher"]}));
        assert!(named.is_some_and(|all| all.contains("source-watcher") && !all.contains(HELM)));
        assert_eq!(of(json!({"components": ["${X}"]})), None);
        let header = "# Flux Version: v2.9.4\n# Components: source-controller,kustomize-controller\n---\n";
        let written = FluxSetup::of(None, &[header.to_owned()], None).components;
        assert_eq!(written.map(|all| all.len()), Some(2));
        assert_eq!(FluxSetup::of(None, &[], None).components, None);
    }

    #[test]
    fn tenants_are_locked_in_by_the_instance_or_by_arguments() {
        let spec = json!({"cluster": {"multitenant": true, "tenantDefaultServiceAccount": "flux"}});
        let setup = FluxSetup::of(Some(&spec), &[], None);
        assert!(setup.no_cross_namespace.contains(KUSTOMIZE));
        assert_eq!(setup.default_service_account.as_deref(), Some("flux"));
        assert!(setup.no_remote_bases && !FluxSetup::default().no_remote_bases);
        let patches = json!([{"target": {"kind": "Deployment", "name": "helm-controller"},
            "patch": "- {op: add, path: /x, value: --no-cross-namespace-refs=true}"}]);
        let setup = of("2.x", &patches);
        assert_eq!(setup.no_cross_namespace.into_iter().collect::<Vec<_>>(), [HELM]);
        let patch =
            "value: --no-cross-namespace-refs=true\nvalue: --default-service-account=tenant\n".to_owned();
        let setup = FluxSetup::of(None, &[patch], None);
        assert!(setup.no_cross_namespace.contains(KUSTOMIZE));
        assert_eq!(setup.default_service_account.as_deref(), Some("tenant"));
    }
}
