//! The table of kinds: a new one is a line here, and does not compile until its file answers each question.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::step::When;
use super::{
    AdoptionSpec, Applies, Awaits, ChecksSpec, CommandSpec, CrdsSpec, HandoverSpec, Kind, KustomizationSpec,
    NamespacesSpec, ObjectsSpec, PartSpec, ReleaseSpec, RepairSpec, SecretsSpec, SourceSpec, SyncSpec,
    WaitSpec,
};
use crate::Declared;
use bootstrapper_core::failure::Result;

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $field:ident: $kind:ident($spec:ident),)+) => {
        /// What a step does.
        #[derive(Debug, Clone)]
        pub enum StepKind {
            $($(#[doc = $doc])+ $kind($spec),)+
        }

        impl StepKind {
            /// The name of such a step within its stage, unless it has one of its own.
            pub fn name(&self) -> String {
                match self { $(Self::$kind(spec) => spec.name(),)+ }
            }

            /// What it applies to a cluster.
            pub fn applies(&self) -> Applies<'_> {
                match self { $(Self::$kind(spec) => spec.applies(),)+ }
            }

            /// What it waits for.
            pub fn awaits(&self) -> Awaits<'_> {
                match self { $(Self::$kind(spec) => spec.awaits(),)+ }
            }

            /// Whether what it applies can be applied, by what a cluster declares. Needs no cluster.
            pub fn check(&self, declared: &Declared) -> Result<()> {
                match self { $(Self::$kind(spec) => spec.check(declared),)+ }
            }
        }

        /// A step: exactly one of the kinds `checks` to `command`, and what all kinds share.
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(in crate::pipeline) struct StepFile {
            /// Its name within the stage; made of what it does, if this is left out.
            pub(in crate::pipeline) name: Option<String>,
            /// Why the bootstrap needs it: `plan` shows it.
            pub(in crate::pipeline) why: Option<String>,
            /// How long it may take: `90s`, `5m`. 30m, if this is left out.
            pub(in crate::pipeline) timeout: Option<String>,
            /// How long nothing may change meanwhile: every change begins it anew. 10m, if this is left out.
            pub(in crate::pipeline) inactivity: Option<String>,
            /// `declared`: skip it on a cluster that does not declare what it is about.
            #[serde(default)]
            pub(in crate::pipeline) when: When,
            /// Whether what it makes must also be ready before the next step starts. Yes, if left out.
            pub(in crate::pipeline) r#await: Option<bool>,

            $($(#[doc = $doc])+ $field: Option<<$spec as Kind>::Written>,)+
        }

        impl StepFile {
            /// The kinds that it names; or why one of them is wrong.
            pub(in crate::pipeline) fn kinds(self) -> Result<Vec<StepKind>, String> {
                let mut kinds = Vec::new();
                $(if let Some(written) = self.$field {
                    kinds.push(StepKind::$kind(<$spec as Kind>::read(written)?));
                })+
                Ok(kinds)
            }

            /// The names of all kinds.
            pub(in crate::pipeline) const KINDS: &[&str] = &[$(stringify!($field)),+];
        }
    };
}

kinds! {
    /// Look for problems and list all of them, before anything is written.
    checks: Checks(ChecksSpec),
    /// Make namespaces.
    namespaces: Namespaces(NamespacesSpec),
    /// Make the secrets of `bootstrapper.yaml`.
    secrets: Secrets(SecretsSpec),
    /// Apply the objects of a file of the repository. `${VAR}` stands for a setting of the cluster.
    objects: Objects(ObjectsSpec),
    /// Build and apply the Flux Kustomization of that name, as Flux would.
    kustomization: Kustomization(KustomizationSpec),
    /// Build a Flux Kustomization and apply some of its objects, as Flux would.
    part: Part(PartSpec),
    /// Apply CRDs and await that they are served.
    crds: Crds(CrdsSpec),
    /// Install the HelmRelease of that name, as the cluster declares it.
    release: Release(ReleaseSpec),
    /// Await a fact of the cluster.
    wait: Wait(WaitSpec),
    /// Put something right that a cluster may have got wrong on the way.
    repair: Repair(RepairSpec),
    /// Apply the GitRepository of the cluster.
    source: Source(SourceSpec),
    /// Apply the root Kustomization of the cluster.
    sync: Sync(SyncSpec),
    /// Tell what Flux changes as it takes over: before it begins, or after.
    adoption: Adoption(AdoptionSpec),
    /// Await that every Kustomization and HelmRelease is ready, by Flux's own word.
    handover: Handover(HandoverSpec),
    /// Run a program of the repository or of PATH, on the cluster of the run. `{{cluster}}` stands for the
    /// cluster's name.
    command: Command(CommandSpec),
}
