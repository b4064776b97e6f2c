//! Nothing waits for itself.

use super::{Scene, each};
use crate::{Finding, Rule, Severity};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_gitops::order::{Because, Order};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "waits-for-itself",
        severity: Severity::Error,
        summary: "Kustomizations and releases wait for one another, across levels",
        why: "each is ready only after the other: on a fresh cluster none of them ever is, and Flux says only that a dependency is not ready",
        fix: "take one of the dependsOn entries out, or let the Kustomization that waits name what it really needs in healthChecks",
        check: |rule, fleet| each(fleet, |scene| circles(rule, scene)),
    },
    Rule {
        name: "suspended-dependency",
        severity: Severity::Warning,
        summary: "something depends on what is suspended",
        why: "what is suspended never becomes ready on a fresh cluster, and what depends on it never starts",
        fix: "take `suspend: true` out, or the dependsOn entry",
        check: |rule, fleet| each(fleet, |scene| suspended(rule, scene)),
    },
];

fn circles(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let circles = scene.order.circles().into_iter();
    circles
        .filter_map(|circle| {
            // It begins with what says so itself.
            let first = circle.iter().position(|link| link.because == Because::DependsOn)?;
            let circle = [&circle[first..], &circle[..first]].concat();
            let (from, to) = (&circle[0].from.of, &circle[0].to.of);
            let objects = scene.declared.kustomizations.iter().flat_map(|one| &one.objects);
            let mut ids = objects.map(ObjectRef::of);
            let id = ids
                .find(|id| id.kind == from.kind && id.name == from.name && id.namespace == from.namespace)?;
            let message = format!("{id} waits for itself: {}", Order::told(&circle));
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
