//! Settings of Kustomizations that fail under some conditions.

use std::collections::BTreeSet;

use crate::fleet::{Placed, objects_of};
use crate::{Finding, Fleet, Rule, Severity};
use bootstrapper_core::object::ObjectRef;

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "no-timeout",
        severity: Severity::Warning,
        summary: "a Kustomization without a timeout",
        why: "the timeout defaults to its interval: with an interval of one hour, a failed health check is reported after an hour",
        fix: "set `timeout:` to the duration that its slowest object needs",
        check: |rule, fleet| without(rule, fleet, "timeout"),
    },
    Rule {
        name: "no-retry-interval",
        severity: Severity::Warning,
        summary: "a Kustomization without a retryInterval",
        why: "after a failure, Flux retries only after the whole interval, which delays a bootstrap",
        fix: "set `retryInterval: 1m`",
        check: |rule, fleet| without(rule, fleet, "retryInterval"),
    },
    Rule {
        name: "pruned-crds",
        severity: Severity::Warning,
        summary: "a Kustomization with `prune: true` contains CRDs",
        why: "deleting a CRD deletes all objects of its kind: a commit that moves it elsewhere deletes them on every cluster",
        fix: "set `prune: false`, or annotate each CRD with `kustomize.toolkit.fluxcd.io/prune: disabled`",
        check: pruned_crds,
    },
    Rule {
        name: "dependency-not-waited-for",
        severity: Severity::Warning,
        summary: "a dependency does not wait for its objects",
        why: "it is ready as soon as its objects are applied, so its dependents start before they work",
        fix: "set `wait: true` or healthChecks on the dependency",
        check: not_waited_for,
    },
];

const GROUP: &str = "kustomize.toolkit.fluxcd.io";

fn kustomizations(fleet: &Fleet) -> impl Iterator<Item = Placed<'_>> {
    fleet.of_kind(GROUP, "Kustomization")
}

fn without(rule: &Rule, fleet: &Fleet, field: &str) -> Vec<Finding> {
    let lacking = kustomizations(fleet).filter(|placed| placed.field(&["spec", field]).is_null());
    lacking.map(|placed| placed.finding(rule, "spec", format!("{} has no {field}", placed.id()))).collect()
}

/// Reported once per Kustomization.
fn pruned_crds(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    let is_kept = |placed: &Placed<'_>| {
        let has = |map: &Option<std::collections::BTreeMap<String, String>>| {
            map.as_ref()
                .and_then(|map| map.get("kustomize.toolkit.fluxcd.io/prune"))
                .is_some_and(|value| value == "disabled")
        };
        has(&placed.object.metadata.annotations) || has(&placed.object.metadata.labels)
    };
    let pruning = kustomizations(fleet).filter(|placed| placed.field(&["spec", "prune"]) == true);
    let found = pruning.filter_map(|placed| {
        let id = placed.id();
        let crds = objects_of(placed.declared).filter(|one| {
            one.kustomization.id == id
                && one.is("apiextensions.k8s.io", "CustomResourceDefinition")
                && !is_kept(one)
        });
        let names: Vec<String> = crds.map(|crd| crd.id().name).collect();
        let first = names.first()?;
        let others = if names.len() > 1 { format!(" and {} more", names.len() - 1) } else { String::new() };
        Some(placed.finding(rule, "spec.prune", format!("{id} prunes CRD {first}{others}")))
    });
    found.collect()
}

fn not_waited_for(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let depended: BTreeSet<&ObjectRef> =
            declared.kustomizations.iter().flat_map(|one| &one.depends_on).collect();
        let careless = objects_of(declared).filter(|placed| {
            placed.is(GROUP, "Kustomization")
                && depended.contains(&placed.id())
                && placed.field(&["spec", "wait"]) != true
                && placed.field(&["spec", "healthChecks"]).as_array().is_none_or(Vec::is_empty)
        });
        careless
            .map(|placed| {
                let message =
                    format!("{} does not wait for its objects, and others depend on it", placed.id());
                placed.finding(rule, "spec.wait", message)
            })
            .collect()
    })
}
