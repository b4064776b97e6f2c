//! Every object has exactly one owner.

use std::collections::BTreeMap;

use crate::fleet::{Placed, objects_of};
use crate::{Finding, Fleet, Rule, Severity};
use bootstrapper_core::object::ObjectRef;

pub(crate) const RULES: &[Rule] = &[Rule {
    name: "object-owned-twice",
    severity: Severity::Error,
    summary: "two Kustomizations apply the same object",
    why: "each overwrites the other's changes, and deleting one of them deletes the object",
    fix: "keep it in only one of them",
    check: owned_twice,
}];

fn owned_twice(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let mut owners: BTreeMap<ObjectRef, Placed<'_>> = BTreeMap::new();
        let mut found = Vec::new();
        for placed in objects_of(declared) {
            let id = placed.id();
            match owners.get(&id) {
                Some(first) if first.kustomization.id != placed.kustomization.id => {
                    let (a, b) = (&first.kustomization.id.name, &placed.kustomization.id.name);
                    let message = format!("{id} is applied by Kustomization {a} and by {b}");
                    found.push(placed.finding(rule, "metadata.name", message));
                }
                _ => {
                    owners.insert(id, placed);
                }
            }
        }
        found
    })
}
