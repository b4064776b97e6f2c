//! What Flux denies to tenants: with `multitenant: true` in the FluxInstance, or with arguments of its
//! controllers.

use crate::fleet::Placed;
use crate::{Finding, Fleet, Rule, Severity, known};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "cross-namespace-reference",
        severity: Severity::Error,
        summary: "a Kustomization or HelmRelease references a source in another namespace, and Flux denies that",
        why: "with --no-cross-namespace-refs the controller denies access (AccessDenied) and does not retry",
        fix: "declare the source in the same namespace, or set `multitenant: false`",
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
];

/// Kinds that reconcile on behalf of a tenant, and their references to sources.
const REFERENCES: [(&str, &str, &[&str]); 3] = [
    ("kustomize.toolkit.fluxcd.io", "Kustomization", &["spec", "sourceRef"]),
    ("helm.toolkit.fluxcd.io", "HelmRelease", &["spec", "chart", "spec", "sourceRef"]),
    ("helm.toolkit.fluxcd.io", "HelmRelease", &["spec", "chartRef"]),
];

fn cross_namespace(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_object(|placed| {
        if !placed.declared.flux.no_cross_namespace {
            return Vec::new();
        }
        let references = REFERENCES.iter().filter(|(group, kind, _)| placed.is(group, kind));
        let crossing = references.filter_map(|(_, _, path)| {
            let other =
                placed.field(path)["namespace"].as_str().filter(|other| Some(*other) != own(placed))?;
            let message = format!("{} references a source in namespace {other}", placed.id());
            Some(placed.finding(rule, &format!("{}.namespace", path.join(".")), message))
        });
        crossing.collect()
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
    REFERENCES.iter().any(|(group, kind, _)| placed.is(group, kind))
}

fn own(placed: Placed<'_>) -> Option<&str> {
    placed.object.metadata.namespace.as_deref()
}
