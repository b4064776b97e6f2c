//! The input of all rules: every cluster, and the files that declare it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Finding;
use bootstrapper_core::failure::{Failure, Location};
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_gitops::pipeline::{Config, Pipeline, StepSpec};
use bootstrapper_gitops::{Declared, Kustomization, Written};

/// Everything that was loaded from a repository.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    /// The declarations of the clusters.
    pub clusters: Vec<Declared>,
    /// The settings of every cluster in the repository, by cluster name, including clusters that are not
    /// validated now.
    pub settings: BTreeMap<String, BTreeMap<String, String>>,
    /// What could not be loaded.
    pub refusals: Vec<Refusal>,
    /// The pipeline of each cluster, by cluster name; none if it could not be parsed.
    pub pipelines: BTreeMap<String, Pipeline>,
    /// `bootstrapper.yaml`.
    pub config: Config,
    /// The content of all these files, by path within the repository.
    pub files: BTreeMap<PathBuf, String>,
    /// Whether `clusters` has all clusters of the repository.
    pub is_whole: bool,
}

/// Something that could not be loaded at all.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The rule that reports it.
    pub rule: &'static str,
    /// Its cluster, if any.
    pub cluster: Option<String>,
    /// Why.
    pub failure: Failure,
}

/// An object, and its location.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'a> {
    /// The cluster that declares it.
    pub declared: &'a Declared,
    /// The Kustomization that applies it.
    pub kustomization: &'a Kustomization,
    /// The object.
    pub object: &'a Object,
    /// The file that declares it; none if it is downloaded.
    pub written: Option<&'a Written>,
}

impl<'a> Placed<'a> {
    /// Its reference.
    pub fn id(&self) -> ObjectRef {
        ObjectRef::of(self.object)
    }

    /// The location of one of its fields: `spec.dependsOn[1].name`.
    pub fn place(&self, field: &str) -> Option<Location> {
        self.declared.place_in(self.written?, field)
    }

    /// The value of a field; null if missing.
    pub fn field(&self, path: &[&str]) -> &'a serde_json::Value {
        path.iter().fold(&self.object.data, |value, name| &value[*name])
    }

    /// Whether it has this group and kind, in any version.
    pub fn is(&self, group: &str, kind: &str) -> bool {
        let id = self.id();
        id.group() == group && id.kind == kind
    }
}

impl Fleet {
    /// Every step of the task files, once even if several clusters use it.
    pub fn steps(&self) -> impl Iterator<Item = &StepSpec> {
        let all = self.pipelines.values().flat_map(Pipeline::steps).filter(|step| !step.is_built_in());
        let place = |step: &StepSpec| (step.place().file.clone(), step.place().line, step.place().column);
        let by_place: BTreeMap<_, _> = all.map(|step| (place(step), step)).collect();
        by_place.into_values()
    }

    /// Every object of every cluster.
    pub fn objects(&self) -> impl Iterator<Item = Placed<'_>> {
        self.clusters.iter().flat_map(objects_of)
    }

    /// Every object of this group and kind.
    pub fn of_kind<'a>(&'a self, group: &'a str, kind: &'a str) -> impl Iterator<Item = Placed<'a>> {
        self.objects().filter(move |placed| placed.is(group, kind))
    }

    /// The findings of `check` in each cluster.
    pub fn each(&self, check: impl Fn(&Declared) -> Vec<Finding>) -> Vec<Finding> {
        self.clusters.iter().flat_map(check).collect()
    }

    /// The findings of `check` in each cluster that loaded without problems. For rules about missing objects: a
    /// problem may hide some.
    pub fn each_whole(&self, check: impl Fn(&Declared) -> Vec<Finding>) -> Vec<Finding> {
        self.clusters.iter().filter(|declared| declared.problems.is_empty()).flat_map(check).collect()
    }

    /// The findings of `check` for each object of each cluster that loaded without problems.
    pub fn each_whole_object(&self, check: impl Fn(Placed<'_>) -> Vec<Finding>) -> Vec<Finding> {
        self.each_whole(|declared| objects_of(declared).flat_map(&check).collect())
    }

    /// The findings of `check` for each object of each cluster.
    pub fn each_object(&self, check: impl Fn(Placed<'_>) -> Vec<Finding>) -> Vec<Finding> {
        self.objects().flat_map(check).collect()
    }
}

/// Every object of a cluster, in the order of Kustomizations (parents first).
pub(super) fn objects_of(declared: &Declared) -> impl Iterator<Item = Placed<'_>> {
    declared.kustomizations.iter().flat_map(move |kustomization| {
        let objects = kustomization.placed_objects();
        objects.map(move |(object, written)| Placed { declared, kustomization, object, written })
    })
}
