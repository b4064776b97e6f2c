//! What lets a tenant become more than a tenant.

use crate::fleet::{Placed, objects_of};
use crate::{Finding, Fleet, Rule, Severity};
use bootstrapper_gitops::Declared;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "tenant-extends-role",
        severity: Severity::Warning,
        summary: "a tenant's ServiceAccount has the role `edit` or `admin`, and flux-operator applies its ResourceSets as cluster admin",
        why: "flux-operator adds ResourceSets to `edit` and `admin`; a ResourceSet without an account is applied with the operator's own rights",
        fix: "set `multitenancy.enabled: true` in the values of flux-operator, or bind a role that lists what a tenant needs",
        check: extended_role,
    },
    Rule {
        name: "secret-store-open-to-tenants",
        severity: Severity::Warning,
        summary: "a ClusterSecretStore without conditions can be read by tenants",
        why: "external-secrets adds ExternalSecrets to the roles `edit` and `admin`, and a store without conditions serves every namespace: a tenant reads all secrets of the store",
        fix: "list the namespaces that may read from it in spec.conditions, and give tenants a SecretStore of their own",
        check: open_store,
    },
];

/// Roles that charts extend by aggregation.
const AGGREGATED: [&str; 2] = ["admin", "edit"];

/// The kinds that Flux applies with the account that they name.
const IMPERSONATING: [(&str, &str); 2] =
    [("kustomize.toolkit.fluxcd.io", "Kustomization"), ("helm.toolkit.fluxcd.io", "HelmRelease")];

fn extended_role(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        if !runs_resource_sets_as_admin(declared) {
            return Vec::new();
        }
        let bindings = tenants_bindings(declared);
        let finding = |(placed, account, role): (Placed<'_>, String, &str)| {
            let message = format!("ServiceAccount {account}, which Flux impersonates, has the role `{role}`");
            placed.finding(rule, "roleRef.name", message)
        };
        bindings.map(finding).collect()
    })
}

fn open_store(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let Some((_, account, role)) = tenants_bindings(declared).next() else { return Vec::new() };
        let stores = objects_of(declared)
            .filter(|placed| placed.is("external-secrets.io", "ClusterSecretStore"))
            .filter(|placed| placed.field(&["spec", "conditions"]).as_array().is_none_or(Vec::is_empty));
        let finding = |placed: Placed<'_>| {
            let message = format!("{} serves ServiceAccount {account} (role `{role}`), too", placed.id());
            placed.finding(rule, "spec", message)
        };
        stores.map(finding).collect()
    })
}

/// Bindings of an aggregated role to an account that Flux impersonates, with account and role.
fn tenants_bindings(declared: &Declared) -> impl Iterator<Item = (Placed<'_>, String, &str)> {
    let bindings =
        objects_of(declared).filter(|placed| placed.is("rbac.authorization.k8s.io", "RoleBinding"));
    bindings.filter_map(|placed| {
        let data = &placed.object.data;
        let role = data["roleRef"]["name"].as_str().filter(|role| AGGREGATED.contains(role))?;
        let own = placed.object.metadata.namespace.as_deref().unwrap_or_default();
        let subjects = data["subjects"].as_array().into_iter().flatten();
        let mut accounts = subjects
            .filter(|subject| subject["kind"] == "ServiceAccount")
            .filter_map(|one| Some((one["namespace"].as_str().unwrap_or(own), one["name"].as_str()?)));
        let (namespace, name) = accounts.find(|(namespace, name)| impersonates(declared, namespace, name))?;
        Some((placed, format!("{namespace}/{name}"), role))
    })
}

fn impersonates(declared: &Declared, namespace: &str, account: &str) -> bool {
    objects_of(declared).any(|placed| {
        IMPERSONATING.iter().any(|(group, kind)| placed.is(group, kind))
            && placed.object.metadata.namespace.as_deref() == Some(namespace)
            && placed.field(&["spec", "serviceAccountName"]) == account
    })
}

/// Whether flux-operator is declared, and applies a ResourceSet without an account with its own rights.
fn runs_resource_sets_as_admin(declared: &Declared) -> bool {
    let mut operators = declared.releases.iter().filter(|release| release.chart.name() == "flux-operator");
    let is_open = operators.any(|release| release.values["multitenancy"]["enabled"] != true);
    let deployments = objects_of(declared).filter(|placed| {
        placed.is("apps", "Deployment") && placed.object.metadata.name.as_deref() == Some("flux-operator")
    });
    let mut plain = deployments.map(|placed| placed.object.data["spec"]["template"].to_string());
    is_open || plain.any(|template| !locks_down(&template))
}

/// Whether a Deployment of flux-operator names a default account: an argument, or the variable for it.
fn locks_down(template: &str) -> bool {
    template.contains("--default-service-account=") || template.contains("DEFAULT_SERVICE_ACCOUNT")
}
