//! What Flux denies to tenants: with `multitenant: true` in the FluxInstance, or with arguments of its
//! controllers.

use crate::fleet::Placed;
use crate::paths::values_at;
use crate::{Finding, Fleet, Rule, Severity, known};
use bootstrapper_core::failure::Location;
use bootstrapper_gitops::Declared;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "cross-namespace-reference",
        severity: Severity::Error,
        summary: "an object of Flux references a source, or another object, in another namespace, and Flux denies that",
        why: "with --no-cross-namespace-refs its controller denies access (AccessDenied) and does not retry; of an Alert or Receiver it drops the events",
        fix: "declare the referenced object in the same namespace, or set `multitenant: false`",
        check: cross_namespace,
    },
    Rule {
        name: "missing-default-account",
        severity: Severity::Warning,
        summary: "the default ServiceAccount of Flux is not found in a namespace",
        why: "with --default-service-account Flux impersonates it, and the API server rejects requests until it exists",
        fix: "set serviceAccountName, or declare the default ServiceAccount in that namespace",
        check: default_account,
    },
    Rule {
        name: "remote-base-denied",
        severity: Severity::Error,
        summary: "a kustomization has a base in another repository, and Flux fetches none",
        why: "with --no-remote-bases, which `multitenant: true` sets, the build fails (BuildFailed) and none of its objects is applied",
        fix: "fetch the other repository with a GitRepository and a Kustomization of its own, or keep a copy of the base",
        check: remote_bases,
    },
];

/// Kinds with references to other namespaces, their fields, and the controller that may reject them.
const REFERENCES: [(&str, &str, &str, &str); 8] = [
    ("kustomize.toolkit.fluxcd.io", "Kustomization", "spec.sourceRef", "kustomize-controller"),
    ("helm.toolkit.fluxcd.io", "HelmRelease", "spec.chart.spec.sourceRef", "helm-controller"),
    ("helm.toolkit.fluxcd.io", "HelmRelease", "spec.chartRef", "helm-controller"),
    ("notification.toolkit.fluxcd.io", "Alert", "spec.eventSources[]", "notification-controller"),
    ("notification.toolkit.fluxcd.io", "Receiver", "spec.resources[]", "notification-controller"),
    ("image.toolkit.fluxcd.io", "ImagePolicy", "spec.imageRepositoryRef", "image-reflector-controller"),
    ("image.toolkit.fluxcd.io", "ImageUpdateAutomation", "spec.sourceRef", "image-automation-controller"),
    ("source.extensions.fluxcd.io", "ArtifactGenerator", "spec.sources[]", "source-watcher"),
];

fn cross_namespace(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_object(|placed| {
        let denying = &placed.declared.flux.no_cross_namespace;
        let references = REFERENCES
            .iter()
            .filter(|(group, kind, _, controller)| placed.is(group, kind) && denying.contains(controller));
        let named = references.flat_map(|(.., path, _)| values_at(&placed.object.data, path));
        let crossing = named.filter_map(|(path, reference)| {
            let other = reference["namespace"].as_str().filter(|other| Some(*other) != own(placed))?;
            let what = reference["kind"].as_str().unwrap_or("an object");
            let message = format!("{} references {what} in namespace {other}", placed.id());
            Some(placed.finding(rule, &format!("{path}.namespace"), message))
        });
        crossing.collect()
    })
}

/// The bases that kustomize-controller does not fetch. Only git is denied: single files are fetched with HTTP.
pub(super) fn denied_bases(declared: &Declared) -> impl Iterator<Item = (&String, &Option<Location>)> {
    let is_file = |address: &str| {
        let path = address.split(['?', '#']).next().unwrap_or_default();
        [".yaml", ".yml", ".json"].iter().any(|end| path.ends_with(end))
    };
    let all = declared.unverified.iter().filter(|_| declared.flux.no_remote_bases);
    all.filter(move |(address, _)| !is_file(address))
}

fn remote_bases(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        denied_bases(declared)
            .map(|(address, place)| {
                let message =
                    format!("{address} is a remote base, and kustomize-controller has --no-remote-bases");
                Finding::of(rule, message).in_cluster(&declared.cluster).at(place.clone())
            })
            .collect()
    })
}

fn default_account(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_whole_object(|placed| {
        let Some(account) = placed.declared.flux.default_service_account.as_deref() else {
            return Vec::new();
        };
        let is_named = placed.field(&["spec", "serviceAccountName"]).is_string();
        let elsewhere = !placed.field(&["spec", "kubeConfig"]).is_null();
        // Every namespace has an account named `default`.
        if !impersonates(placed) || is_named || elsewhere || account == "default" {
            return Vec::new();
        }
        if known::find(placed.declared, "", "ServiceAccount", own(placed), account).is_some()
            || known::is_account_of_flux(placed.declared, own(placed), account)
        {
            return Vec::new();
        }
        let namespace = own(placed).unwrap_or_default();
        let message =
            format!("{} uses ServiceAccount {namespace}/{account}, which is not found", placed.id());
        let made = known::possible_creator(placed.declared, account);
        vec![placed.finding(rule, "spec", message).unless_created_by(made)]
    })
}

/// Whether Flux impersonates the account that the object names.
pub(super) fn impersonates(placed: Placed<'_>) -> bool {
    placed.is("kustomize.toolkit.fluxcd.io", "Kustomization")
        || placed.is("helm.toolkit.fluxcd.io", "HelmRelease")
}

fn own(placed: Placed<'_>) -> Option<&str> {
    placed.object.metadata.namespace.as_deref()
}
