//! Privilege escalation of tenants.

use super::tenants::impersonates;
use crate::fleet::{Placed, objects_of};
use crate::{Finding, Fleet, Rule, Severity, known};
use bootstrapper_gitops::Declared;
use bootstrapper_gitops::order::FLUX_OPERATOR;
use serde_json::Value;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "tenant-extends-role",
        severity: Severity::Warning,
        summary: "a tenant's ServiceAccount may create ResourceSets, which flux-operator applies as cluster admin",
        why: "flux-operator adds ResourceSets to `edit` and `admin`; a ResourceSet without an account is applied with the operator's own permissions",
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

/// Roles that charts extend by aggregation, and `cluster-admin`.
const EXTENDED: [&str; 3] = ["admin", "cluster-admin", "edit"];

const RBAC: &str = "rbac.authorization.k8s.io";

/// A binding that allows a tenant to create objects of a kind.
struct Grant<'a> {
    binding: Placed<'a>,
    account: String,
    role: &'a str,
}

fn extended_role(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        if !runs_resource_sets_as_admin(declared) {
            return Vec::new();
        }
        let grants = grants(declared, "fluxcd.controlplane.io", "resourcesets");
        let finding = |Grant { binding, account, role }: Grant<'_>| {
            let message = format!("ServiceAccount {account}, which Flux impersonates, has the role `{role}`");
            binding.finding(rule, "roleRef.name", message)
        };
        grants.map(finding).collect()
    })
}

fn open_store(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let Some(Grant { account, role, .. }) =
            grants(declared, "external-secrets.io", "externalsecrets").next()
        else {
            return Vec::new();
        };
        let stores = objects_of(declared)
            .filter(|placed| placed.is("external-secrets.io", "ClusterSecretStore"))
            .filter(|placed| serves_everybody(placed.field(&["spec", "conditions"])));
        let finding = |placed: Placed<'_>| {
            let message = format!("{} serves ServiceAccount {account} (role `{role}`), too", placed.id());
            placed.finding(rule, "spec", message)
        };
        stores.map(finding).collect()
    })
}

/// Whether a store's conditions, or their absence, admit every namespace.
fn serves_everybody(conditions: &Value) -> bool {
    let is_open = |condition: &Value| {
        let regexes = condition["namespaceRegexes"].as_array().into_iter().flatten();
        condition["namespaceSelector"].as_object().is_some_and(serde_json::Map::is_empty)
            || regexes.filter_map(Value::as_str).any(|regex| matches!(regex, ".*" | "^.*$" | ".+" | "^.+$"))
    };
    conditions.as_array().is_none_or(|all| all.is_empty() || all.iter().any(is_open))
}

/// The bindings that allow an account that Flux impersonates to create objects of this kind.
fn grants<'a>(declared: &'a Declared, group: &'a str, plural: &'a str) -> impl Iterator<Item = Grant<'a>> {
    let bindings = objects_of(declared).filter(|placed| placed.is(RBAC, "RoleBinding"));
    bindings.filter_map(move |binding| {
        let data = &binding.object.data;
        let own = binding.object.metadata.namespace.as_deref().unwrap_or_default();
        let role = data["roleRef"]["name"].as_str()?;
        if !may_create(declared, &data["roleRef"], own, group, plural) {
            return None;
        }
        let subjects = data["subjects"].as_array()?;
        let account = impersonated(declared)
            .find(|account| subjects.iter().any(|subject| is_meant(subject, own, *account)))?;
        Some(Grant { binding, account: format!("{}/{}", account.0, account.1), role })
    })
}

/// The accounts that Flux impersonates, by namespace and name.
fn impersonated(declared: &Declared) -> impl Iterator<Item = (&str, &str)> {
    let acting = objects_of(declared).filter(|placed| impersonates(*placed));
    acting.filter_map(|placed| {
        let account = placed.object.data["spec"]["serviceAccountName"].as_str()?;
        Some((placed.object.metadata.namespace.as_deref()?, account))
    })
}

/// Whether a subject of a binding in namespace `own` is an account, or includes it.
fn is_meant(subject: &Value, own: &str, (namespace, account): (&str, &str)) -> bool {
    let name = subject["name"].as_str().unwrap_or_default();
    match subject["kind"].as_str() {
        Some("ServiceAccount") => {
            name == account && subject["namespace"].as_str().unwrap_or(own) == namespace
        }
        Some("Group") => {
            name == "system:serviceaccounts" || name == format!("system:serviceaccounts:{namespace}")
        }
        Some("User") => name == format!("system:serviceaccount:{namespace}:{account}"),
        _ => false,
    }
}

/// Whether a role, if known, allows creating objects of this kind.
fn may_create(declared: &Declared, role: &Value, namespace: &str, group: &str, plural: &str) -> bool {
    let (kind, name) = (role["kind"].as_str().unwrap_or_default(), role["name"].as_str().unwrap_or_default());
    if kind == "ClusterRole" && EXTENDED.contains(&name) {
        return true;
    }
    let namespace = (kind == "Role").then_some(namespace);
    let Some(role) = known::find(declared, RBAC, kind, namespace, name) else { return false };
    let rules = role.object.data["rules"].as_array().into_iter().flatten();
    let lists = |rule: &Value, field: &str, word: &str| {
        rule[field].as_array().is_some_and(|all| all.iter().any(|one| one == word || one == "*"))
    };
    rules.into_iter().any(|rule| {
        lists(rule, "apiGroups", group) && lists(rule, "resources", plural) && lists(rule, "verbs", "create")
    })
}

/// Whether flux-operator is declared, and applies a ResourceSet without an account with its own permissions.
fn runs_resource_sets_as_admin(declared: &Declared) -> bool {
    let mut operators = declared.releases.iter().filter(|release| release.chart.name() == FLUX_OPERATOR);
    let is_open = operators.any(|release| {
        let arguments = release.values["extraArgs"].to_string();
        release.values["multitenancy"]["enabled"] != true && !locks_down(&arguments)
    });
    let deployments = objects_of(declared).filter(|placed| {
        placed.is("apps", "Deployment") && placed.object.metadata.name.as_deref() == Some(FLUX_OPERATOR)
    });
    let mut plain = deployments.map(|placed| placed.object.data["spec"]["template"].to_string());
    is_open || plain.any(|template| !locks_down(&template))
}

/// Whether a Deployment of flux-operator sets a default account, with an argument or an environment variable.
fn locks_down(template: &str) -> bool {
    template.contains("--default-service-account=") || template.contains("DEFAULT_SERVICE_ACCOUNT")
}
