//! Dependency cycles.

use super::{Scene, each};
use crate::{Finding, Rule, Severity};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_gitops::order::{LinkKind, Order};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "waits-for-itself",
        severity: Severity::Error,
        summary: "a dependency cycle of Kustomizations and releases",
        why: "each becomes ready only after the other: on a new cluster none of them ever does, and Flux reports only that a dependency is not ready",
        fix: "remove one of the dependsOn entries, or list what the waiting Kustomization needs in its healthChecks",
        check: |rule, fleet| each(fleet, |scene| cycles(rule, scene)),
    },
    Rule {
        name: "suspended-dependency",
        severity: Severity::Warning,
        summary: "a dependency is suspended",
        why: "a suspended object never becomes ready on a new cluster, and its dependents never start",
        fix: "remove `suspend: true`, or the dependsOn entry",
        check: |rule, fleet| each(fleet, |scene| suspended(rule, scene)),
    },
];

fn cycles(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let cycles = scene.order.cycles().into_iter();
    cycles
        .filter_map(|cycle| {
            // Start with the object whose field is reported.
            let first = cycle.iter().position(|link| link.kind == LinkKind::DependsOn)?;
            let cycle = [&cycle[first..], &cycle[..first]].concat();
            let (from, to) = (&cycle[0].from.of, &cycle[0].to.of);
            let objects = scene.declared.kustomizations.iter().flat_map(|one| &one.objects);
            let mut ids = objects.map(ObjectRef::of);
            let id = ids
                .find(|id| id.kind == from.kind && id.name == from.name && id.namespace == from.namespace)?;
            let message = format!("{id} is in a dependency cycle: {}", Order::describe(&cycle));
            Some(scene.finding(rule, &id, &entry(scene, &id, to), message))
        })
        .collect()
}

/// The `dependsOn` entry of `from` that names `to`.
fn entry(scene: &Scene<'_>, from: &ObjectRef, to: &ObjectRef) -> String {
    let object = scene.declared.objects().find(|object| ObjectRef::of(object) == *from);
    let entries = object.and_then(|object| object.data["spec"]["dependsOn"].as_array());
    let at = entries.and_then(|entries| entries.iter().position(|entry| entry["name"] == to.name));
    format!("spec.dependsOn[{}].name", at.unwrap_or_default())
}

fn suspended(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let kustomizations = scene.declared.kustomizations.iter();
    let kustomizations = kustomizations.map(|one| (&one.id, &one.object, &one.depends_on));
    let releases = scene.declared.releases.iter().map(|one| (&one.id, &one.object, &one.depends_on));
    let all: Vec<_> = kustomizations.chain(releases).collect();
    let is_suspended = |wanted: &ObjectRef| {
        all.iter().any(|(id, object, _)| {
            id.kind == wanted.kind
                && id.name == wanted.name
                && id.namespace == wanted.namespace
                && object.data["spec"]["suspend"] == true
        })
    };
    let waiting = all.iter().flat_map(|(id, _, depends_on)| depends_on.iter().map(move |on| (*id, on)));
    waiting
        .filter(|(_, on)| is_suspended(on))
        .map(|(id, on)| {
            let message = format!("{id} depends on {on}, which is suspended");
            scene.finding(rule, id, &entry(scene, id, on), message)
        })
        .collect()
}
