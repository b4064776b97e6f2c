//! The order of the task files: which step comes surely before which.

use std::collections::BTreeSet;

use super::kinds::{Kind, Kinds};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_gitops::pipeline::{Applies, Pipeline, Stage, StepSpec};
use bootstrapper_gitops::{Declared, Kustomization};

/// The task files, as they run for one cluster.
pub(crate) struct Bootstrap<'a> {
    declared: &'a Declared,
    kinds: &'a Kinds<'a>,
    turns: Vec<ScheduledStep<'a>>,
}

/// A step, and its position.
#[derive(Clone, Copy)]
pub(crate) struct ScheduledStep<'a> {
    stage: &'a Stage,
    number: usize,
    pub step: &'a StepSpec,
}

impl ScheduledStep<'_> {
    /// `cilium/release-cilium`.
    pub(crate) fn describe(&self) -> String {
        format!("{}/{}", self.stage.name, self.step.name())
    }
}

impl<'a> Bootstrap<'a> {
    /// That of a cluster. Steps whose object it does not declare are skipped.
    pub(crate) fn of(pipeline: &'a Pipeline, declared: &'a Declared, kinds: &'a Kinds<'a>) -> Self {
        let turns = pipeline
            .stages
            .iter()
            .flat_map(|stage| {
                stage.steps.iter().enumerate().map(move |(number, step)| ScheduledStep {
                    stage,
                    number,
                    step,
                })
            })
            .filter(|turn| turn.step.kind.applies().is_declared(declared))
            .collect();
        let mut bootstrap = Self { declared, kinds, turns };
        bootstrap
            .turns
            .sort_by_key(|turn| pipeline.stages.iter().position(|stage| stage.name == turn.stage.name));
        bootstrap
    }

    /// All steps, in the order in which they are written.
    pub(crate) fn turns(&self) -> impl Iterator<Item = ScheduledStep<'a>> {
        self.turns.iter().copied()
    }

    /// Whether the first is surely done before the second starts.
    pub(crate) fn is_before(&self, first: &ScheduledStep<'_>, second: &ScheduledStep<'_>) -> bool {
        if first.stage.name == second.stage.name {
            return first.number < second.number && !first.stage.parallel;
        }
        self.needed(second.stage).contains(first.stage.name.as_str())
    }

    /// Every stage that is done before `stage` starts.
    fn needed(&self, stage: &'a Stage) -> BTreeSet<&'a str> {
        let mut needed = BTreeSet::new();
        let mut next: Vec<&str> = stage.needs.iter().map(String::as_str).collect();
        while let Some(name) = next.pop() {
            if needed.insert(name)
                && let Some(turn) = self.turns.iter().find(|turn| turn.stage.name == name)
            {
                next.extend(turn.stage.needs.iter().map(String::as_str));
            }
        }
        needed
    }

    /// All steps that are surely done before `turn`.
    pub(crate) fn before(&self, turn: &ScheduledStep<'a>) -> impl Iterator<Item = ScheduledStep<'a>> {
        self.turns
            .iter()
            .filter(move |other| self.is_before(other, turn))
            .copied()
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// Where Flux begins: the step that applies the root Kustomization.
    pub(crate) fn start_of_flux(&self) -> Option<ScheduledStep<'a>> {
        self.turns().find(|turn| matches!(turn.step.kind.applies(), Applies::Sync))
    }

    /// The step that installs a release.
    pub(crate) fn release(&self, id: &ObjectRef) -> Option<ScheduledStep<'a>> {
        self.turns()
            .find(|turn| matches!(turn.step.kind.applies(), Applies::Release(name) if name == id.name))
    }

    /// Whether the CRD of a kind exists before a step. What a command or a manifest provides is
    /// not known: it may be anything.
    pub(crate) fn has_before(&self, kind: &Kind, turn: &ScheduledStep<'a>) -> bool {
        self.before(turn).any(|other| self.may_bring(kind, &other))
    }

    /// Whether the CRD of a kind exists before Flux starts.
    pub(crate) fn has_before_flux(&self, kind: &Kind) -> bool {
        match self.start_of_flux() {
            Some(start) => self.has_before(kind, &start),
            None => self.turns().any(|turn| self.may_bring(kind, &turn)),
        }
    }

    /// Whether any other step may provide it.
    pub(crate) fn has_elsewhere(&self, kind: &Kind, turn: &ScheduledStep<'_>) -> bool {
        self.turns().any(|other| other.describe() != turn.describe() && self.may_bring(kind, &other))
    }

    fn may_bring(&self, kind: &Kind, turn: &ScheduledStep<'_>) -> bool {
        let is_of_flux = kind.group.ends_with(".toolkit.fluxcd.io");
        let of_kustomization = |one: &Kustomization| {
            let makes_flux = |object| ObjectRef::of(object).kind == "FluxInstance";
            !one.is_here
                || self.kinds.has(&one.id, kind)
                || (is_of_flux && one.objects.iter().any(makes_flux))
        };
        match turn.step.kind.applies() {
            Applies::Kustomization(name) => self.declared.kustomization(name).is_some_and(of_kustomization),
            Applies::CrdsOfKustomization(name) => {
                self.declared.with_brought(name).into_iter().any(of_kustomization)
            }
            Applies::CrdsOfReleases => {
                self.declared.releases.iter().any(|release| self.kinds.is_in_chart(release, kind))
            }
            Applies::CrdsOfManifest(manifest) => manifest_may_bring(&manifest.location, &kind.group),
            Applies::Release(name) => self.declared.release(name).is_some_and(|release| {
                // Charts of Flux go by many names.
                self.kinds.is_brought_by(release, kind)
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

/// Addresses of well-known manifests, and the API groups of their CRDs.
const MANIFESTS: [(&str, &str); 5] = [
    ("kubernetes-sigs/gateway-api/", "gateway.networking.k8s.io"),
    ("fluxcd/flux2/", "toolkit.fluxcd.io"),
    ("cilium/cilium/", "cilium.io"),
    ("prometheus-operator/", "monitoring.coreos.com"),
    ("cert-manager/cert-manager/", "cert-manager.io"),
];

fn manifest_may_bring(location: &str, group: &str) -> bool {
    match MANIFESTS.iter().find(|(part, _)| location.contains(part)) {
        Some((_, known)) => group.ends_with(known),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_whose_address_says_what_it_is_brings_nothing_else() {
        let flux = "https://github.com/fluxcd/flux2/releases/download/v2.9.4/install.yaml";
        assert!(manifest_may_bring(flux, "source.toolkit.fluxcd.io"));
        assert!(!manifest_may_bring(flux, "gateway.networking.k8s.io"));
        assert!(manifest_may_bring("kubernetes/crds.yaml", "gateway.networking.k8s.io"));
    }
}
