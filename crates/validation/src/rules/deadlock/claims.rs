//! Volumes that are bound only when a pod uses them.

use super::{Scene, at, each_whole};
use crate::{Finding, Rule, Severity};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_gitops::Kustomization;
use bootstrapper_gitops::order::{Moment, Order, Relation};

pub(crate) const RULES: &[Rule] = &[Rule {
    name: "claim-nobody-uses",
    severity: Severity::Error,
    summary: "a Kustomization waits for a claim that binds only when a pod uses it, before such a pod exists",
    why: "its storage class binds late (WaitForFirstConsumer): the claim stays Pending and the Kustomization is never ready, so the pod is never created",
    fix: "move the claim to the Kustomization of the pod that uses it, or list what to wait for in healthChecks",
    check: |rule, fleet| each_whole(fleet, |scene| unused(rule, scene)),
}];

/// Well-known storage classes with `WaitForFirstConsumer`.
const LATE: [&str; 2] = ["openebs-hostpath", "local-path"];

fn binds_late(scene: &Scene<'_>, class: &str) -> bool {
    let mut objects = scene.declared.objects();
    let own = objects.find(|object| {
        let id = ObjectRef::of(object);
        id.kind == "StorageClass" && id.name == class
    });
    own.map_or(LATE.contains(&class), |own| own.data["volumeBindingMode"] == "WaitForFirstConsumer")
}

fn unused(rule: &Rule, scene: &Scene<'_>) -> Vec<Finding> {
    let waiting = scene.declared.kustomizations.iter().filter(|one| one.object.data["spec"]["wait"] == true);
    let found = waiting.flat_map(|one| {
        let claims = one.objects.iter().filter(|object| {
            ObjectRef::of(object).kind == "PersistentVolumeClaim"
                && at(&object.data, "spec.volumeName").is_null()
                && at(&object.data, "spec.storageClassName")
                    .as_str()
                    .is_some_and(|class| binds_late(scene, class))
        });
        claims.filter_map(|claim| finding(rule, scene, one, claim)).collect::<Vec<_>>()
    });
    found.collect()
}

fn finding(rule: &Rule, scene: &Scene<'_>, by: &Kustomization, claim: &Object) -> Option<Finding> {
    let id = ObjectRef::of(claim);
    let uses = |object: &Object| {
        ObjectRef::of(object) != id && object.data.to_string().contains(&format!("\"{}\"", id.name))
    };
    let users: Vec<&Kustomization> =
        scene.declared.kustomizations.iter().filter(|one| one.objects.iter().any(uses)).collect();
    let moments: Vec<Moment> = users.iter().map(|user| Moment::begins(&user.id)).collect();
    let why = match (scene.order.relation(&Moment::ready(&by.id), &moments), users.first()) {
        (Relation::After(way), Some(user)) => {
            format!(
                "the workload that uses it (Kustomization {}) comes later: {}",
                user.id.name,
                Order::describe(&way)
            )
        }
        (Relation::Unordered, None) => "no workload in the repository uses it".to_owned(),
        _ => return None,
    };
    let class = at(&claim.data, "spec.storageClassName").as_str().unwrap_or_default();
    let message = format!(
        "Kustomization {} waits for {id}, whose class {class} binds it only when a pod uses it, but {why}",
        by.id.name
    );
    Some(scene.finding(rule, &id, "spec.storageClassName", message))
}
