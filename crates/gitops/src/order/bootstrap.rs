//! The order of steps in the task files: which step is guaranteed to run before which.

use std::collections::BTreeSet;

use super::addresses::manifest_may_provide;
use super::kinds::{Kind, Kinds};
use crate::pipeline::{Applies, Pipeline, Stage, StepSpec};
use crate::{Declared, Kustomization};
use bootstrapper_core::object::{Object, ObjectRef};

/// The task files, as run for one cluster.
pub struct Bootstrap<'a> {
    declared: &'a Declared,
    kinds: &'a Kinds<'a>,
    steps: Vec<ScheduledStep<'a>>,
}

/// A step, and its position.
#[derive(Clone, Copy)]
pub struct ScheduledStep<'a> {
    stage: &'a Stage,
    number: usize,
    /// The step.
    pub step: &'a StepSpec,
}

impl ScheduledStep<'_> {
    /// `cilium/release-cilium`.
    pub fn describe(&self) -> String {
        format!("{}/{}", self.stage.name, self.step.name())
    }

    /// The Kustomization whose objects it applies, and these; none if it applies no Kustomization.
    pub fn objects<'d>(&self, declared: &'d Declared) -> Option<(&'d Kustomization, Vec<&'d Object>)> {
        let (name, part) = match self.step.kind.applies() {
            Applies::Kustomization(name) => (name, None),
            Applies::Part(part) => (part.of.as_str(), Some(part)),
            _ => return None,
        };
        let one = declared.kustomization(name)?;
        let applied = one.objects.iter().filter(|object| part.is_none_or(|part| part.has(object)));
        Some((one, applied.collect()))
    }
}

impl<'a> Bootstrap<'a> {
    /// The task files of a cluster. Steps whose object it does not declare are skipped.
    pub fn of(pipeline: &'a Pipeline, declared: &'a Declared, kinds: &'a Kinds<'a>) -> Self {
        let steps = pipeline
            .stages
            .iter()
            .flat_map(|stage| {
                stage.steps.iter().enumerate().map(move |(number, step)| ScheduledStep {
                    stage,
                    number,
                    step,
                })
            })
            .filter(|scheduled| scheduled.step.kind.applies().is_declared(declared))
            .collect();
        let mut bootstrap = Self { declared, kinds, steps };
        bootstrap.steps.sort_by_key(|scheduled| {
            pipeline.stages.iter().position(|stage| stage.name == scheduled.stage.name)
        });
        bootstrap
    }

    /// All steps, in the order of the task files.
    pub fn steps(&self) -> impl Iterator<Item = ScheduledStep<'a>> {
        self.steps.iter().copied()
    }

    /// Whether the first is guaranteed to finish before the second starts.
    pub fn is_before(&self, first: &ScheduledStep<'_>, second: &ScheduledStep<'_>) -> bool {
        if first.stage.name == second.stage.name {
            return first.number < second.number && !first.stage.parallel;
        }
        self.needed(second.stage).contains(first.stage.name.as_str())
    }

    /// Every stage that finishes before `stage` starts.
    fn needed(&self, stage: &'a Stage) -> BTreeSet<&'a str> {
        let mut needed = BTreeSet::new();
        let mut next: Vec<&str> = stage.needs.iter().map(String::as_str).collect();
        while let Some(name) = next.pop() {
            if needed.insert(name)
                && let Some(scheduled) = self.steps.iter().find(|scheduled| scheduled.stage.name == name)
            {
                next.extend(scheduled.stage.needs.iter().map(String::as_str));
            }
        }
        needed
    }

    /// All steps that are guaranteed to finish before `scheduled` starts.
    pub fn before(&self, scheduled: &ScheduledStep<'a>) -> impl Iterator<Item = ScheduledStep<'a>> {
        self.steps
            .iter()
            .filter(move |other| self.is_before(other, scheduled))
            .copied()
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// The step that starts Flux: it applies the root Kustomization.
    pub fn start_of_flux(&self) -> Option<ScheduledStep<'a>> {
        self.steps().find(|scheduled| matches!(scheduled.step.kind.applies(), Applies::Sync))
    }

    /// The step that installs a release.
    pub fn release(&self, id: &ObjectRef) -> Option<ScheduledStep<'a>> {
        self.steps().find(|scheduled| match scheduled.step.kind.applies() {
            Applies::Release(name) => self.declared.release(name).is_some_and(|one| one.id == *id),
            _ => false,
        })
    }

    /// Whether the CRD of a kind exists before a step. What a command or a manifest provides is unknown: it may
    /// be anything.
    pub fn has_before(&self, kind: &Kind, scheduled: &ScheduledStep<'a>) -> bool {
        self.before(scheduled).any(|other| self.may_provide(kind, &other))
    }

    /// Whether the CRD of a kind exists before Flux starts.
    pub fn has_before_flux(&self, kind: &Kind) -> bool {
        match self.start_of_flux() {
            Some(start) => self.has_before(kind, &start),
            None => self.steps().any(|scheduled| self.may_provide(kind, &scheduled)),
        }
    }

    /// Whether any other step may provide it.
    pub fn has_elsewhere(&self, kind: &Kind, scheduled: &ScheduledStep<'_>) -> bool {
        self.steps().any(|other| other.describe() != scheduled.describe() && self.may_provide(kind, &other))
    }

    fn may_provide(&self, kind: &Kind, scheduled: &ScheduledStep<'_>) -> bool {
        let is_of_flux = kind.group.ends_with(".toolkit.fluxcd.io");
        let makes_flux = |object: &Object| ObjectRef::of(object).kind == "FluxInstance";
        let of_kustomization = |one: &Kustomization| {
            !one.is_here
                || self.kinds.has(&one.id, kind)
                || (is_of_flux && one.objects.iter().any(makes_flux))
        };
        match scheduled.step.kind.applies() {
            Applies::Kustomization(name) => self.declared.kustomization(name).is_some_and(of_kustomization),
            Applies::CrdsOfKustomization(name) => {
                self.declared.with_children(name).into_iter().any(of_kustomization)
            }
            Applies::CrdsOfReleases(named) => self.declared.releases.iter().any(|release| {
                named.has_release(self.declared, release) && self.kinds.is_in_chart(release, kind)
            }),
            Applies::Part(part) => {
                let brings =
                    |object: &&Object| part.has(object) && Kind::defined_by(object).as_ref() == Some(kind);
                let one = self.declared.kustomization(&part.of);
                one.is_some_and(|one| {
                    let has_instance =
                        one.objects.iter().any(|object| part.has(object) && makes_flux(object));
                    one.objects.iter().any(|object| brings(&object)) || (is_of_flux && has_instance)
                })
            }
            Applies::CrdsOfManifest(manifest) | Applies::Manifest(manifest) => {
                manifest_may_provide(&manifest.location, &kind.group)
            }
            Applies::Release(name) => self.declared.release(name).is_some_and(|release| {
                // Charts of Flux have many names.
                self.kinds.is_provided_by(release, kind)
                    || (is_of_flux && release.chart.name().starts_with("flux"))
            }),
            Applies::File | Applies::Program => true,
            Applies::Nothing
            | Applies::Namespaces(_)
            | Applies::Secrets
            | Applies::Source
            | Applies::Sync => false,
        }
    }
}
