//! Waits without effect, and waits without end.

use serde_json::Value;

use crate::fleet::{Placed, objects_of};
use crate::{Finding, Fleet, Rule, Severity, known};
use bootstrapper_core::object::ObjectRef;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "health-checks-ignored",
        severity: Severity::Warning,
        summary: "health checks of a Kustomization have no effect",
        why: "with `wait: true` Flux checks what the Kustomization applies, and nothing else; expressions count only for what is checked",
        fix: "remove `wait: true` and list everything that has to be ready, or remove the healthChecks",
        check: ignored,
    },
    Rule {
        name: "missing-health-check",
        severity: Severity::Error,
        summary: "a health check names an object that is not found",
        why: "Flux waits for it until the timeout (HealthCheckFailed): the Kustomization and its dependents are never ready",
        fix: "correct kind, name and namespace of the health check, or declare the object",
        check: missing,
    },
];

const GROUP: &str = "kustomize.toolkit.fluxcd.io";

/// The objects that a Kustomization checks.
fn checks(placed: Placed<'_>) -> Vec<ObjectRef> {
    let text = |check: &Value, field: &str| check[field].as_str().map(str::to_owned);
    let all = placed.field(&["spec", "healthChecks"]).as_array().into_iter().flatten();
    all.filter_map(|check| {
        Some(ObjectRef {
            api_version: text(check, "apiVersion").unwrap_or_default(),
            kind: text(check, "kind")?,
            namespace: text(check, "namespace").filter(|namespace| !namespace.is_empty()),
            name: text(check, "name")?,
        })
    })
    .collect()
}

fn is_it(id: &ObjectRef, check: &ObjectRef) -> bool {
    // The group may be left out of what people write.
    let is_group = check.api_version.is_empty() || id.group() == check.group();
    let is_namespace = check.namespace.is_none() || id.namespace.is_none() || id.namespace == check.namespace;
    is_group && is_namespace && (&id.kind, &id.name) == (&check.kind, &check.name)
}

fn ignored(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_object(|placed| {
        if !placed.is(GROUP, "Kustomization") {
            return Vec::new();
        }
        let id = placed.id();
        let (checks, waits) = (checks(placed), placed.field(&["spec", "wait"]) == true);
        if waits && !checks.is_empty() {
            return vec![beside_wait(rule, placed, &id, &checks)];
        }
        let expressions = placed.field(&["spec", "healthCheckExprs"]).as_array().into_iter().flatten();
        let idle = expressions
            .enumerate()
            .filter(|(_, one)| !waits && !checks.iter().any(|check| one["kind"] == check.kind.as_str()));
        let message = |one: &Value| {
            let kind = one["kind"].as_str().unwrap_or_default();
            format!(
                "{id} has an expression for {kind}, and neither `wait: true` nor a health check of that kind"
            )
        };
        idle.map(|(number, one)| {
            placed.finding(rule, &format!("spec.healthCheckExprs[{number}]"), message(one))
        })
        .collect()
    })
}

/// A note where what it checks is waited for anyway.
fn beside_wait(rule: &Rule, placed: Placed<'_>, id: &ObjectRef, checks: &[ObjectRef]) -> Finding {
    let mut own = placed.declared.kustomizations.iter().filter(|one| one.id == *id);
    let applied = own.next();
    let is_applied = |check: &&ObjectRef| {
        applied.is_some_and(|one| {
            !one.is_here || one.objects.iter().any(|object| is_it(&ObjectRef::of(object), check))
        })
    };
    let lost = checks.iter().find(|check| !is_applied(check));
    let message = match lost {
        Some(check) => {
            format!(
                "{id} has `wait: true`, so Flux ignores its healthChecks: nothing waits for {} {}",
                check.kind, check.name
            )
        }
        None => format!("{id} has `wait: true`, which includes its healthChecks"),
    };
    let finding = placed.finding(rule, "spec.healthChecks", message);
    if lost.is_some() { finding } else { finding.with_severity(Severity::Info) }
}

fn missing(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each_whole_object(|placed| {
        if !placed.is(GROUP, "Kustomization") || placed.field(&["spec", "wait"]) == true {
            return Vec::new();
        }
        let declared = placed.declared;
        let all = checks(placed).into_iter().enumerate();
        let lost = all.filter(|(_, check)| {
            let is_there = objects_of(declared).any(|one| is_it(&one.id(), check));
            !is_there && !check.name.contains(bootstrapper_gitops::UNKNOWN) && !may_be_made(placed, check)
        });
        lost.map(|(number, check)| {
            let message = format!("{} waits for {check}, which is not found", placed.id());
            placed.finding(rule, &format!("spec.healthChecks[{number}].name"), message)
        })
        .collect()
    })
}

/// Whether something that is not declared may make it. Releases and Kustomizations are always declared.
fn may_be_made(placed: Placed<'_>, check: &ObjectRef) -> bool {
    let declared = placed.declared;
    let is_of_flux = matches!(check.kind.as_str(), "Kustomization" | "HelmRelease");
    let namespace = check.namespace.as_deref().unwrap_or_default();
    declared.has_unseen_parts()
        || (!is_of_flux
            && (namespace.is_empty()
                || namespace == "kube-system"
                || declared.sync.metadata.namespace.as_deref() == Some(namespace)
                || known::possible_creator_in(declared, namespace, &check.name).is_some()))
}
