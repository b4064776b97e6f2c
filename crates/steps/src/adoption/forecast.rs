//! The forecast of what Flux will change.

use std::collections::BTreeMap;

use serde::Serialize;

use super::effect::{Effect, ObjectForecast};
use bootstrapper_core::object::ObjectRef;

/// The forecast of what Flux will change.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forecast {
    /// Every object that it will apply or delete, in repository order.
    pub objects: Vec<ObjectForecast>,
    /// The hooks of charts that run when Flux takes their releases over.
    pub hooks: Vec<Hook>,
    /// The HelmReleases that the bootstrap did not install, and that Flux will install.
    pub installs: Vec<ObjectRef>,
    /// The Kustomizations and HelmReleases that Flux owns already.
    pub owned: Vec<ObjectRef>,
    /// Those that could not be compared.
    pub unseen: Vec<Unseen>,
}

/// A hook that Helm runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hook {
    /// `Job kube-system/x`.
    pub object: ObjectRef,
    /// The release.
    pub by: ObjectRef,
}

/// A Kustomization or HelmRelease that could not be compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unseen {
    /// The Kustomization or HelmRelease.
    pub id: ObjectRef,
    /// Why not.
    pub because: String,
}

/// The number of objects for each effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Unchanged objects.
    pub same: usize,
    /// Ownership labels to be set on them.
    pub marks: usize,
    /// Objects to be created.
    pub created: usize,
    /// Objects that are changed, deleted, recreated or rejected.
    pub different: usize,
    /// Objects that Flux does not change, or that only the cluster knows.
    pub other: usize,
}

impl Forecast {
    /// Every object that differs from what Flux will apply.
    pub fn differences(&self) -> impl Iterator<Item = &ObjectForecast> {
        self.objects.iter().filter(|entry| entry.effect.is_difference())
    }

    /// The number of objects for each effect.
    pub fn counts(&self) -> Counts {
        self.objects.iter().fold(Counts::default(), |mut counts, entry| {
            match &entry.effect {
                Effect::Same { marks } => {
                    counts.same += 1;
                    counts.marks += marks;
                }
                Effect::Created => counts.created += 1,
                effect if effect.is_difference() => counts.different += 1,
                _ => counts.other += 1,
            }
            counts
        })
    }

    /// The same, for each Kustomization and HelmRelease with objects.
    pub fn counts_by_owner(&self) -> BTreeMap<&ObjectRef, Counts> {
        let mut by_owner: BTreeMap<&ObjectRef, Self> = BTreeMap::new();
        for entry in &self.objects {
            by_owner.entry(&entry.by).or_default().objects.push(entry.clone());
        }
        by_owner.into_iter().map(|(owner, part)| (owner, part.counts())).collect()
    }

    /// A short summary.
    pub fn summary(&self) -> String {
        use bootstrapper_core::words::count;
        let Counts { same, marks, created, different, .. } = self.counts();
        let drift = match (different, same + different) {
            (0, 0) => "no drift".to_owned(),
            (0, compared) => format!("no drift in {}", count(compared, "object")),
            (_, compared) => format!("drift in {different} of {}", count(compared, "object")),
        };
        let labels = match marks {
            0 => String::new(),
            _ => format!("add {} of its own and ", count(marks, "label")),
        };
        format!("{drift}; Flux will {labels}create {}", count(created, "object"))
    }
}

impl ObjectForecast {
    /// One line for the user: `DaemonSet kube-system/cilium changes, which restarts its pods`.
    pub fn describe(&self) -> String {
        let said = match &self.effect {
            Effect::Same { .. } => "stays unchanged",
            Effect::Created => "is created",
            Effect::Missing => "is missing and will be created",
            Effect::Changed { restarts: true, .. } => "changes, which restarts its pods",
            Effect::Changed { .. } => "changes",
            Effect::Recreated { .. } => "is deleted and recreated",
            Effect::Deleted => "is deleted",
            Effect::Refused { .. } => "is refused by the API server",
            Effect::LeftAlone => "is left alone",
            Effect::Unknown { .. } => "can only be compared in the cluster",
        };
        format!("{} {said}", self.object)
    }

    /// Further lines.
    pub fn details(&self) -> Vec<String> {
        match &self.effect {
            Effect::Changed { fields, .. } => fields.clone(),
            Effect::Recreated { because } | Effect::Refused { because } | Effect::Unknown { because } => {
                vec![because.clone()]
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_are_counted_by_owner() {
        let owner = |name: &str| ObjectRef::namespaced("x/v1", "HelmRelease", "n", name);
        let entry = |by: &str, effect| ObjectForecast {
            object: ObjectRef::namespaced("v1", "ConfigMap", "n", "c"),
            by: owner(by),
            effect,
        };
        let changed = Effect::Changed { fields: vec![".data.a 1 → 2".to_owned()], restarts: false };
        let forecast = Forecast {
            objects: vec![
                entry("a", Effect::Same { marks: 2 }),
                entry("a", changed),
                entry("b", Effect::Created),
                entry("b", Effect::LeftAlone),
            ],
            ..Forecast::default()
        };
        let expected = Counts { same: 1, marks: 2, created: 1, different: 1, other: 1 };
        assert_eq!(forecast.counts(), expected);
        let of_a = Counts { created: 0, other: 0, ..expected };
        assert_eq!(forecast.counts_by_owner()[&owner("a")], of_a);
        assert_eq!(forecast.differences().count(), 1);
        assert_eq!(
            forecast.summary(),
            "drift in 1 of 2 objects; Flux will add 2 labels of its own and create 1 object"
        );
    }
}
