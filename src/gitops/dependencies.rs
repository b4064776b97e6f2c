//! `dependsOn`: names what is declared, and never in a circle.

use std::collections::BTreeMap;

use crate::failure::{Failure, Result};
use crate::object::{Object, ObjectRef};

/// What a Flux object depends on; the namespace is its own unless it says otherwise.
pub(super) fn depends_on(object: &Object) -> Vec<ObjectRef> {
    let own = ObjectRef::of(object);
    let here = own.namespace.clone().unwrap_or_default();
    let entries = object.data["spec"]["dependsOn"].as_array();
    entries
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let namespace = entry["namespace"].as_str().unwrap_or(&here);
            Some(ObjectRef::namespaced(&own.api_version, &own.kind, namespace, entry["name"].as_str()?))
        })
        .collect()
}

/// Fails if something depends on what is not declared, or on itself by way of others.
pub(super) fn check(edges: &BTreeMap<ObjectRef, Vec<ObjectRef>>) -> Result<()> {
    for (from, to) in edges {
        if let Some(missing) = to.iter().find(|to| !edges.contains_key(to)) {
            return Err(Failure::input(format!("{from} depends on {missing}, which is not declared"))
                .because("Flux would wait for it for ever")
                .hint(format!("declare {missing}, or correct the dependsOn of {from}")));
        }
    }
    let mut done = Vec::new();
    for start in edges.keys() {
        let mut path = Vec::new();
        if let Some(circle) = circle_from(start, edges, &mut path, &mut done) {
            let names: Vec<String> = circle.iter().map(|id| id.name.clone()).collect();
            return Err(Failure::input(format!("{start} depends on itself: {}", names.join(" → ")))
                .because("Flux would wait for ever")
                .hint("take one of these dependsOn entries out"));
        }
    }
    Ok(())
}

fn circle_from<'a>(
    at: &'a ObjectRef,
    edges: &'a BTreeMap<ObjectRef, Vec<ObjectRef>>,
    path: &mut Vec<&'a ObjectRef>,
    done: &mut Vec<&'a ObjectRef>,
) -> Option<Vec<&'a ObjectRef>> {
    if done.contains(&at) {
        return None;
    }
    if let Some(begin) = path.iter().position(|seen| *seen == at) {
        let mut circle = path[begin..].to_vec();
        circle.push(at);
        return Some(circle);
    }
    path.push(at);
    let found = edges.get(at).into_iter().flatten().find_map(|next| circle_from(next, edges, path, done));
    path.pop();
    done.push(at);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> ObjectRef {
        ObjectRef::namespaced("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "flux-system", name)
    }

    fn edges(list: &[(&str, &[&str])]) -> BTreeMap<ObjectRef, Vec<ObjectRef>> {
        list.iter().map(|(from, to)| (id(from), to.iter().map(|name| id(name)).collect())).collect()
    }

    #[test]
    fn circles_are_named() {
        let failure = check(&edges(&[("a", &["b"]), ("b", &["c"]), ("c", &["a"])])).unwrap_err();
        assert_eq!(failure.what, "Kustomization flux-system/a depends on itself: a → b → c → a");
        assert!(check(&edges(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])])).is_ok());
    }

    #[test]
    fn what_is_not_declared_cannot_be_depended_on() {
        assert!(check(&edges(&[("a", &["z"])])).unwrap_err().what.contains("not declared"));
    }
}
