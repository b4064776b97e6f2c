//! The order in which Flux reconciles.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::moment::{Link, LinkKind, Moment, describe};
use crate::{Declared, Kustomization};
use bootstrapper_core::object::{Object, ObjectRef};

const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io";

/// Kinds with their own order, which Kustomizations contain.
const FOLLOWED: [(&str, &str); 3] = [
    (KUSTOMIZE, "Kustomization"),
    ("helm.toolkit.fluxcd.io", "HelmRelease"),
    ("external-secrets.io", "ExternalSecret"),
];

/// When something exists, relative to the moment that needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relation {
    /// Guaranteed to exist before.
    Before,
    /// No guaranteed order.
    Unordered,
    /// Only after: it waits for the moment that needs it, along this path.
    After(Vec<Link>),
}

/// The order in which Flux reconciles the objects of a cluster: the predecessors of each moment.
#[derive(Debug, Clone, Default)]
pub struct Order(BTreeMap<Moment, Vec<(LinkKind, Moment)>>);

impl Order {
    /// The order of everything that a cluster declares.
    pub fn of(declared: &Declared) -> Self {
        let mut order = Self::default();
        for kustomization in &declared.kustomizations {
            order.add_kustomization(kustomization);
            for object in kustomization.objects.iter().filter(|object| is_followed(object)) {
                order.add_object(object, &kustomization.id);
            }
        }
        order
    }

    fn add_kustomization(&mut self, kustomization: &Kustomization) {
        let id = &kustomization.id;
        self.add(Moment::ready(id), LinkKind::Itself, Moment::begins(id));
        if let Some(by) = &kustomization.parent {
            self.add(Moment::begins(id), LinkKind::AppliedBy, Moment::begins(by));
        }
        for other in &kustomization.depends_on {
            self.add(Moment::begins(id), LinkKind::DependsOn, Moment::ready(other));
        }
        for (at, object) in kustomization.objects.iter().enumerate() {
            let waited = ObjectRef::of(object);
            if waits_for(kustomization, &waited) && is_awaited(kustomization, at) {
                self.add(Moment::ready(id), LinkKind::WaitsFor, Moment::ready(&waited));
            }
        }
    }

    fn add_object(&mut self, object: &Object, by: &ObjectRef) {
        let id = ObjectRef::of(object);
        // A Kustomization has more edges.
        if id.group() == KUSTOMIZE {
            return;
        }
        self.add(Moment::ready(&id), LinkKind::Itself, Moment::begins(&id));
        self.add(Moment::begins(&id), LinkKind::AppliedBy, Moment::begins(by));
        let here = id.namespace.clone().unwrap_or_default();
        for entry in object.data["spec"]["dependsOn"].as_array().into_iter().flatten() {
            let namespace = entry["namespace"].as_str().unwrap_or(&here);
            let name = entry["name"].as_str().unwrap_or_default();
            let other = ObjectRef::namespaced(&id.api_version, &id.kind, namespace, name);
            self.add(Moment::begins(&id), LinkKind::DependsOn, Moment::ready(&other));
        }
    }

    fn add(&mut self, moment: Moment, because: LinkKind, after: Moment) {
        self.0.entry(moment).or_default().push((because, after));
    }

    /// The shortest path from a moment to a guaranteed earlier one; none if there is none. Nothing comes before
    /// itself, except in a cycle.
    pub fn path(&self, from: &Moment, to: &Moment) -> Option<Vec<Link>> {
        self.path_over(from, to, |_| true)
    }

    /// The shortest path over certain links.
    fn path_over(&self, from: &Moment, to: &Moment, may: impl Fn(LinkKind) -> bool) -> Option<Vec<Link>> {
        let mut came: BTreeMap<&Moment, (&Moment, LinkKind)> = BTreeMap::new();
        let mut next = VecDeque::from([from]);
        while let Some(at) = next.pop_front() {
            for (because, before) in self.0.get(at).into_iter().flatten() {
                if came.contains_key(before) || !may(*because) {
                    continue;
                }
                came.insert(before, (at, *because));
                if before == to {
                    return Some(path_back(&came, from, before));
                }
                next.push_back(before);
            }
        }
        None
    }

    /// Whether `moment` is guaranteed to come after `before`, or is the same.
    pub fn is_after(&self, moment: &Moment, before: &Moment) -> bool {
        moment == before || self.path(moment, before).is_some()
    }

    /// When one of `provided` exists, relative to the moment that needs it. Another rule reports cycles: for
    /// their members, everything is before.
    pub fn relation(&self, needs: &Moment, provided: &[Moment]) -> Relation {
        if provided.iter().any(|one| one != needs && self.path(needs, one).is_some())
            || self.path(needs, needs).is_some()
        {
            return Relation::Before;
        }
        let ways: Vec<Vec<Link>> = provided
            .iter()
            .filter_map(|one| if one == needs { Some(Vec::new()) } else { self.path(one, needs) })
            .collect();
        match ways.into_iter().min_by_key(Vec::len) {
            Some(shortest) if provided.iter().all(|one| self.is_after(one, needs)) => {
                Relation::After(shortest)
            }
            _ => Relation::Unordered,
        }
    }

    /// The cycles across levels: one per set of moments that wait for each other. Loading reports cycles of
    /// `dependsOn` alone.
    pub fn cycles(&self) -> Vec<Vec<Link>> {
        let mut reported: BTreeSet<&Moment> = BTreeSet::new();
        let mut cycles = Vec::new();
        for moment in self.0.keys() {
            let Some(cycle) = self.path(moment, moment).filter(|_| !reported.contains(moment)) else {
                continue;
            };
            let all = self.0.keys().filter(|one| self.is_after(one, moment) && self.is_after(moment, one));
            let all: Vec<&Moment> = all.collect();
            let is_plain = |because| matches!(because, LinkKind::Itself | LinkKind::DependsOn);
            if !all.iter().any(|one| self.path_over(one, one, is_plain).is_some()) {
                cycles.push(cycle);
            }
            reported.extend(all);
        }
        cycles
    }

    /// A path as a sentence.
    pub fn describe(path: &[Link]) -> String {
        describe(path)
    }
}

fn path_back(came: &BTreeMap<&Moment, (&Moment, LinkKind)>, from: &Moment, to: &Moment) -> Vec<Link> {
    let mut path = Vec::new();
    let mut at = to;
    while let Some((earlier, because)) = came.get(at) {
        path.push(Link { from: (*earlier).clone(), kind: *because, to: at.clone() });
        at = earlier;
        if at == from {
            break;
        }
    }
    path.reverse();
    path
}

fn is_followed(object: &Object) -> bool {
    let id = ObjectRef::of(object);
    FOLLOWED.iter().any(|(group, kind)| id.group() == *group && id.kind == *kind)
}

/// Whether a Kustomization becomes ready only after this object of it. Flux ignores `healthChecks` if it waits
/// for everything. Objects of a ResourceSet are waited for only if the set waits for them.
fn is_awaited(kustomization: &Kustomization, at: usize) -> bool {
    let set = kustomization.created_by.get(&at);
    set.is_none_or(|set| {
        let mut sets = kustomization.objects.iter().filter(|object| ObjectRef::of(object) == *set);
        sets.any(|set| set.data["spec"]["wait"] == true)
    })
}

fn waits_for(kustomization: &Kustomization, id: &ObjectRef) -> bool {
    let is_followed = FOLLOWED.iter().any(|(group, kind)| id.group() == *group && id.kind == *kind);
    let spec = &kustomization.object.data["spec"];
    let mut checks = spec["healthChecks"].as_array().into_iter().flatten();
    is_followed
        && (spec["wait"] == true
            || checks.any(|check| {
                check["kind"] == id.kind
                    && check["name"] == id.name
                    && (check["namespace"].is_null()
                        || check["namespace"].as_str() == id.namespace.as_deref())
            }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> ObjectRef {
        ObjectRef::namespaced("kustomize.toolkit.fluxcd.io/v1", "Kustomization", "flux-system", name)
    }

    /// `apps` depends on `network`, which applies and waits for `cilium`; `tools` depends on nothing.
    fn order() -> Order {
        let mut order = Order::default();
        for name in ["apps", "network", "cilium", "tools"] {
            order.add(Moment::ready(&id(name)), LinkKind::Itself, Moment::begins(&id(name)));
        }
        order.add(Moment::begins(&id("apps")), LinkKind::DependsOn, Moment::ready(&id("network")));
        order.add(Moment::ready(&id("network")), LinkKind::WaitsFor, Moment::ready(&id("cilium")));
        order.add(Moment::begins(&id("cilium")), LinkKind::AppliedBy, Moment::begins(&id("network")));
        order
    }

    #[test]
    fn what_is_waited_for_is_before_and_what_waits_is_after() {
        let order = order();
        let (apps, cilium) = (Moment::begins(&id("apps")), Moment::ready(&id("cilium")));
        assert_eq!(order.relation(&apps, std::slice::from_ref(&cilium)), Relation::Before);
        let Relation::After(path) = order.relation(&cilium, std::slice::from_ref(&apps)) else { panic!() };
        assert_eq!(
            Order::describe(&path),
            "Kustomization apps depends on Kustomization network, which waits for Kustomization cilium"
        );
        let tools = Moment::ready(&id("tools"));
        assert_eq!(order.relation(&apps, std::slice::from_ref(&tools)), Relation::Unordered);
        assert_eq!(order.relation(&cilium, &[apps.clone(), tools]), Relation::Unordered);
        assert_eq!(order.relation(&apps, std::slice::from_ref(&apps)), Relation::After(Vec::new()));
        assert_eq!(order.relation(&apps, &[]), Relation::Unordered);
    }

    #[test]
    fn cycles_across_levels_are_reported_once() {
        let mut order = order();
        assert!(order.cycles().is_empty());
        order.add(Moment::begins(&id("cilium")), LinkKind::DependsOn, Moment::ready(&id("apps")));
        let cycles = order.cycles();
        assert_eq!(cycles.len(), 1);
        assert!(
            Order::describe(&cycles[0]).contains("Kustomization network waits for Kustomization cilium")
                || Order::describe(&cycles[0]).contains("which waits for Kustomization cilium")
        );
    }

    #[test]
    fn a_cycle_of_depends_on_alone_is_reported_by_loading() {
        let mut order = order();
        order.add(Moment::begins(&id("network")), LinkKind::DependsOn, Moment::ready(&id("apps")));
        assert!(order.cycles().is_empty());
        assert!(order.path(&Moment::begins(&id("apps")), &Moment::begins(&id("apps"))).is_some());
    }

    #[test]
    fn versions_of_the_api_do_not_count() {
        let older = ObjectRef { api_version: "kustomize.toolkit.fluxcd.io/v1beta2".to_owned(), ..id("a") };
        assert_eq!(Moment::ready(&older), Moment::ready(&id("a")));
    }
}
