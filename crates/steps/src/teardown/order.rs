//! The order of removal: dependents before their dependencies. Pure.

use std::collections::{BTreeMap, BTreeSet};

use bootstrapper_core::object::ObjectRef;

/// Splits `all` into waves, in order of removal. `needs` has the dependencies of each; those outside `all` are
/// ignored. Members of a cycle are in the same wave.
pub(super) fn waves(
    all: &BTreeSet<ObjectRef>,
    needs: &BTreeMap<ObjectRef, BTreeSet<ObjectRef>>,
) -> Vec<Vec<ObjectRef>> {
    let mut left = all.clone();
    let mut waves = Vec::new();
    while !left.is_empty() {
        let needed: BTreeSet<&ObjectRef> = left
            .iter()
            .flat_map(|one| needs.get(one).into_iter().flatten().filter(move |needed| *needed != one))
            .collect();
        let mut wave: Vec<ObjectRef> = left.iter().filter(|one| !needed.contains(one)).cloned().collect();
        if wave.is_empty() {
            wave = left.iter().cloned().collect();
        }
        left.retain(|one| !wave.contains(one));
        waves.push(wave);
    }
    waves
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(number: usize) -> ObjectRef {
        ObjectRef::cluster_scoped("v1", "Kustomization", &number.to_string())
    }

    proptest! {
        #[test]
        fn nothing_goes_before_what_needs_it(edges in prop::collection::vec((0..12_usize, 0..12_usize), 0..40)) {
            let all: BTreeSet<ObjectRef> = (0..12).map(id).collect();
            let mut needs: BTreeMap<ObjectRef, BTreeSet<ObjectRef>> = BTreeMap::new();
            // A larger number needs a smaller one, so there are no cycles.
            for (one, other) in edges.iter().filter(|(one, other)| one != other) {
                needs.entry(id(*one.max(other))).or_default().insert(id(*one.min(other)));
            }
            let waves = waves(&all, &needs);
            let place = |id: &ObjectRef| waves.iter().position(|wave| wave.contains(id)).unwrap();
            for (one, needed) in &needs {
                prop_assert!(needed.iter().all(|needed| place(one) < place(needed)));
            }
            prop_assert_eq!(waves.concat().len(), all.len());
        }
    }

    #[test]
    fn a_circle_goes_together() {
        let all: BTreeSet<ObjectRef> = (0..3).map(id).collect();
        let needs = BTreeMap::from([(id(0), BTreeSet::from([id(1)])), (id(1), BTreeSet::from([id(0)]))]);
        assert_eq!(waves(&all, &needs), [vec![id(2)], vec![id(0), id(1)]]);
    }
}
