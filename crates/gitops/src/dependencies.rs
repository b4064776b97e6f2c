//! Checks `dependsOn`: it must refer to declared objects, without cycles.

use std::collections::{BTreeMap, BTreeSet};

use super::problem::{Problem, ProblemKind};
use bootstrapper_core::failure::Failure;
use bootstrapper_core::object::{Object, ObjectRef};

/// The dependencies of a Flux object; the default namespace is its own.
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

/// The dependencies of each object.
pub(super) type Edges = BTreeMap<ObjectRef, Vec<ObjectRef>>;

/// All missing dependencies and dependency cycles; each with the object and its field.
pub(super) fn check(edges: &Edges) -> Vec<(Problem, ObjectRef, String)> {
    let unknown = edges.iter().flat_map(|(from, to)| {
        let missing = to.iter().enumerate().filter(|(_, to)| !is_declared(to, edges));
        missing.map(move |(at, missing)| {
            let failure = Failure::input(format!("{from} depends on {missing}, which is not found"))
                .because("Flux waits for it indefinitely")
                .hint(format!("declare {missing}, or correct the dependsOn of {from}"));
            let field = format!("spec.dependsOn[{at}].name");
            (Problem::new(ProblemKind::UnknownDependency, failure), from.clone(), field)
        })
    });
    unknown.chain(cycles(edges)).collect()
}

/// API versions may differ between the two.
fn is_declared(wanted: &ObjectRef, edges: &Edges) -> bool {
    edges.contains_key(wanted)
        || edges
            .keys()
            .any(|id| id.kind == wanted.kind && id.namespace == wanted.namespace && id.name == wanted.name)
}

fn cycles(edges: &Edges) -> Vec<(Problem, ObjectRef, String)> {
    let mut done = BTreeSet::new();
    let mut found = Vec::new();
    for start in edges.keys() {
        if let Some(cycle) = circle_from(start, edges, &mut Vec::new(), &mut done) {
            let names: Vec<String> = cycle.iter().map(|id| id.name.clone()).collect();
            let (first, next) = (cycle[0], cycle[1]);
            let at = edges[first].iter().position(|to| to == next).unwrap_or_default();
            let failure = Failure::input(format!("{first} is in a dependency cycle: {}", names.join(" → ")))
                .because("each waits for the next, and none is ever ready")
                .hint("remove one of these dependsOn entries");
            let problem = Problem::new(ProblemKind::CyclicDependency, failure);
            found.push((problem, first.clone(), format!("spec.dependsOn[{at}].name")));
        }
    }
    found
}

fn circle_from<'a>(
    at: &'a ObjectRef,
    edges: &'a Edges,
    path: &mut Vec<&'a ObjectRef>,
    done: &mut BTreeSet<&'a ObjectRef>,
) -> Option<Vec<&'a ObjectRef>> {
    if let Some(begin) = path.iter().position(|seen| *seen == at) {
        let mut cycle = path[begin..].to_vec();
        cycle.push(at);
        return Some(cycle);
    }
    if !done.insert(at) {
        return None;
    }
    path.push(at);
    let found = edges.get(at).into_iter().flatten().find_map(|next| circle_from(next, edges, path, done));
    path.pop();
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(name: &str) -> ObjectRef {
        ObjectRef::namespaced("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "flux-system", name)
    }

    fn edges(list: &[(&str, &[&str])]) -> Edges {
        list.iter().map(|(from, to)| (id(from), to.iter().map(|name| id(name)).collect())).collect()
    }

    #[test]
    fn circles_are_named() {
        let found = check(&edges(&[("a", &["d", "b"]), ("b", &["c"]), ("c", &["a"]), ("d", &[])]));
        let [(problem, at, field)] = &found[..] else { panic!("{found:?}") };
        assert_eq!(problem.kind, ProblemKind::CyclicDependency);
        assert_eq!(
            problem.failure.what,
            "Kustomization flux-system/a is in a dependency cycle: a → b → c → a"
        );
        assert_eq!((at, field.as_str()), (&id("a"), "spec.dependsOn[1].name"));
        assert!(check(&edges(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])])).is_empty());
        assert_eq!(check(&edges(&[("a", &["a"]), ("b", &["c"]), ("c", &["b"])])).len(), 2);
    }

    #[test]
    fn what_is_not_declared_cannot_be_depended_on() {
        let found = check(&edges(&[("a", &["b", "y", "z"]), ("b", &[])]));
        let told: Vec<_> = found.iter().map(|(problem, _, field)| (problem.kind, field.as_str())).collect();
        assert_eq!(
            told,
            [
                (ProblemKind::UnknownDependency, "spec.dependsOn[1].name"),
                (ProblemKind::UnknownDependency, "spec.dependsOn[2].name"),
            ]
        );
    }

    proptest! {
        /// Edges that only lead to later names cannot form a cycle; one back to the first does.
        #[test]
        fn a_circle_is_found_if_there_is_one(steps in prop::collection::vec(1..4_usize, 2..8)) {
            let mut edges = Edges::new();
            let mut at = 0;
            for step in &steps {
                edges.entry(id(&format!("n{at:02}"))).or_default().push(id(&format!("n{:02}", at + step)));
                at += step;
            }
            edges.insert(id(&format!("n{at:02}")), Vec::new());
            prop_assert!(check(&edges).is_empty());
            edges.insert(id(&format!("n{at:02}")), vec![id("n00")]);
            let found = check(&edges);
            prop_assert_eq!(found.len(), 1);
            prop_assert!(found[0].0.failure.what.contains("is in a dependency cycle"));
        }
    }
}
