//! ResourceSets in the walk: their objects belong to the Kustomization that applies the set.

use super::super::gaps::{Gap, as_source};
use super::super::place::Written;
use super::super::problem::{Problem, ProblemKind};
use super::super::provenance::Shadows;
use super::super::resource_set::{self, Made};
use super::{Found, Walk};
use bootstrapper_core::failure::Failure;
use bootstrapper_core::object::{Object, ObjectRef};

/// The limit of objects of all ResourceSets of a cluster.
const MADE: usize = 20_000;

/// The annotation with the ConfigMap or Secret whose data the operator copies.
const COPY_FROM: &str = "fluxcd.controlplane.io/copyFrom";

/// A ResourceSet, and its origin.
pub(in super::super) struct Set {
    pub(super) object: Object,
    pub(super) shadows: Shadows,
    pub(super) written: Option<Written>,
    pub(super) gaps: Vec<Gap>,
    /// The Kustomization that applies it.
    pub(super) by: ObjectRef,
}

impl Walk<'_> {
    /// Renders the found ResourceSets, adds their objects to their Kustomizations, and returns the
    /// Kustomizations among them.
    pub(super) fn expand_sets(&mut self) -> Vec<Found> {
        let mut brought = Vec::new();
        for set in std::mem::take(&mut self.sets) {
            let id = ObjectRef::of(&set.object);
            let providers = self.providers.clone();
            let providers: Vec<&Object> = providers.iter().collect();
            let mut rendered = resource_set::rendered(&set.object, &providers);
            self.made = self.made.saturating_add(rendered.made.len());
            if self.made > MADE {
                // Nested sets are possible.
                rendered.made.clear();
                rendered.excessive = Some("spec".to_owned());
            }
            let place = |problem: Problem, field: &str| {
                problem.of(&set.by).placed(set.written.as_ref(), field, self.files)
            };
            for (field, what) in &rendered.unknown {
                let failure = Failure::input(format!("objects of {field} of {id} are not checked"))
                    .because(format!("it uses {what}"));
                self.notes.push(place(Problem::new(ProblemKind::NotEvaluated, failure), field));
            }
            if let Some((field, why)) = &rendered.refused {
                let failure = Failure::input(format!("{field} of {id} cannot be rendered")).because(why);
                self.problems.push(place(Problem::new(ProblemKind::UnbuildableResourceSet, failure), field));
            }
            if let Some(field) = &rendered.excessive {
                let failure = Failure::input(format!("{field} of {id} is too large"))
                    .because("its templates produce too many objects or too much text")
                    .hint("split it into several ResourceSets");
                self.problems.push(place(Problem::new(ProblemKind::ExcessiveInput, failure), field));
            }
            let shadows = set.shadows.made(rendered.made.len(), |shadow| {
                let all = resource_set::rendered(shadow, &providers).made;
                all.into_iter().map(|made| made.object).collect()
            });
            for (Made { object, field }, shadows) in rendered.made.into_iter().zip(shadows) {
                let written = set.written.as_ref().map(|written| written.within_field(&field));
                self.add_made(&object, &set, shadows, written, &id, &mut brought);
            }
        }
        brought
    }

    fn add_made(
        &mut self,
        object: &Object,
        set: &Set,
        shadows: Shadows,
        written: Option<Written>,
        id: &ObjectRef,
        brought: &mut Vec<Found>,
    ) {
        if set.gaps.is_empty() {
            self.sources.add_with(object, shadows.keys(object, "data"));
        } else {
            self.sources.add_with(&as_source(object, object, None, true), shadows.keys(object, "data"));
        }
        let copied = object.metadata.annotations.as_ref().and_then(|all| all.get(COPY_FROM));
        if let Some((namespace, name)) = copied.and_then(|from| from.split_once('/')) {
            self.sources.copy(object, namespace, name);
        }
        brought.extend(self.take(object, shadows, written.clone(), &set.gaps, &set.by));
        if let Some(one) = self.kustomizations.iter_mut().find(|one| one.id == set.by) {
            one.created_by.insert(one.objects.len(), id.clone());
            one.objects.push(object.clone());
            one.gaps.push(set.gaps.clone());
            one.written.push(written);
        }
    }
}
