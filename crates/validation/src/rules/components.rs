//! Controllers of Flux that are not installed.

use std::collections::BTreeSet;

use crate::fleet::objects_of;
use crate::{Finding, Fleet, Rule, Severity};

pub(crate) const RULES: &[Rule] = &[Rule {
    name: "missing-flux-component",
    severity: Severity::Error,
    summary: "an object of a controller of Flux that is not installed",
    why: "its CRD is installed with its controller: Flux rejects the whole Kustomization with `no matches for kind`",
    fix: "add the controller to `components` of the FluxInstance (or to `--components-extra` of `flux bootstrap`), or remove the object",
    check: missing,
}];

/// Groups, kinds (all, if empty) and the controller that brings them.
const CONTROLLERS: [(&str, &[&str], &str); 5] = [
    ("helm.toolkit.fluxcd.io", &[], "helm-controller"),
    ("image.toolkit.fluxcd.io", &["ImagePolicy", "ImageRepository"], "image-reflector-controller"),
    ("image.toolkit.fluxcd.io", &["ImageUpdateAutomation"], "image-automation-controller"),
    ("notification.toolkit.fluxcd.io", &[], "notification-controller"),
    ("source.extensions.fluxcd.io", &["ArtifactGenerator"], "source-watcher"),
];

/// What flux-operator installs if a FluxInstance lists nothing (v0.58: `GetComponents`).
const DEFAULT: [&str; 4] =
    ["helm-controller", "kustomize-controller", "notification-controller", "source-controller"];

/// Reported once per controller.
fn missing(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let listed = declared.flux.components.as_ref();
        if listed.is_none() && !declared.flux.by_operator {
            return Vec::new();
        }
        let is_installed = |name: &str| match listed {
            Some(all) => all.contains(name),
            None => DEFAULT.contains(&name),
        };
        let mut reported = BTreeSet::new();
        let found = objects_of(declared).filter_map(|placed| {
            let id = placed.id();
            let is_it = |(group, kinds, _): &&(&str, &[&str], &str)| {
                id.group() == *group && (kinds.is_empty() || kinds.contains(&id.kind.as_str()))
            };
            let (.., controller) = CONTROLLERS.iter().find(is_it)?;
            if is_installed(controller) || !reported.insert(*controller) {
                return None;
            }
            if listed.is_some() {
                let message = format!("{id} needs {controller}, which is not among the components of Flux");
                return Some(placed.finding(rule, "kind", message));
            }
            let message = format!(
                "{id} needs {controller}, which a FluxInstance without `components` does not install"
            );
            Some(placed.finding(rule, "kind", message).with_severity(Severity::Warning))
        });
        found.collect()
    })
}
