//! The table of kinds: a new one is a line here, and does not compile until its file implements each method.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::step::When;
use super::{
    AdoptionSpec, Applies, Awaits, ChecksSpec, CommandSpec, CrdsSpec, HandoverSpec, Kind, KustomizationSpec,
    NamespacesSpec, ObjectsSpec, PartSpec, ReleaseSpec, RemoteManifestSpec, RepairSpec, SecretsSpec,
    SourceSpec, SyncSpec, WaitSpec,
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
            /// Its default name within its stage.
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

            /// Fails if the cluster's declaration cannot be applied. Needs no cluster.
            pub fn check(&self, declared: &Declared) -> Result<()> {
                match self { $(Self::$kind(spec) => spec.check(declared),)+ }
            }
        }

        /// A step: exactly one of the kinds `checks` to `command`, and the fields of all kinds.
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(in crate::pipeline) struct StepFile {
            /// Its name within the stage. Default: derived from its kind.
            pub(in crate::pipeline) name: Option<String>,
            /// Why the bootstrap needs it: `plan` shows it.
            pub(in crate::pipeline) why: Option<String>,
            /// Its timeout: `90s`, `5m`. Default: 30m.
            pub(in crate::pipeline) timeout: Option<String>,
            /// Its timeout without progress; every change resets it. Default: 10m.
            pub(in crate::pipeline) inactivity: Option<String>,
            /// `declared`: skip it on a cluster that does not declare its object.
            #[serde(default)]
            pub(in crate::pipeline) when: When,
            /// Whether to wait until its objects are ready. Default: true.
            pub(in crate::pipeline) r#await: Option<bool>,

            $($(#[doc = $doc])+ $field: Option<<$spec as Kind>::Written>,)+
        }

        impl StepFile {
            /// The kinds that it sets; or why one of them is invalid.
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
    /// Run preflight checks, and report every problem before anything is written.
    checks: Checks(ChecksSpec),
    /// Create namespaces.
    namespaces: Namespaces(NamespacesSpec),
    /// Create the secrets declared in `bootstrapper.yaml`.
    secrets: Secrets(SecretsSpec),
    /// Apply the objects of a file in the repository, or of a folder, built by kustomize and decrypted like
    /// Flux. `{{cluster}}` in the path is replaced by the cluster's name, `${VAR}` in the objects by one of its
    /// settings.
    objects: Objects(ObjectsSpec),
    /// Build and apply the Flux Kustomization with this name, as Flux would.
    kustomization: Kustomization(KustomizationSpec),
    /// Build a Flux Kustomization and apply some of its objects, as Flux would.
    part: Part(PartSpec),
    /// Apply all objects of a manifest from a URL.
    manifest: Manifest(RemoteManifestSpec),
    /// Apply CRDs and wait until they are served.
    crds: Crds(CrdsSpec),
    /// Install the HelmRelease with this name, as the cluster declares it.
    release: Release(ReleaseSpec),
    /// Wait for a probe or an object.
    wait: Wait(WaitSpec),
    /// Repair a known fault.
    repair: Repair(RepairSpec),
    /// Apply the GitRepository of the cluster.
    source: Source(SourceSpec),
    /// Apply the root Kustomization of the cluster.
    sync: Sync(SyncSpec),
    /// Report what Flux changes at the hand-over: a forecast before it, or the result after it.
    adoption: Adoption(AdoptionSpec),
    /// Wait until Flux reports every Kustomization and HelmRelease as ready.
    handover: Handover(HandoverSpec),
    /// Run a program from the repository or PATH against the cluster of the run: `KUBECONFIG` is a kubeconfig
    /// for this cluster only. `{{cluster}}`, `{{context}}` and `{{kubeconfig}}` are replaced by the cluster's
    /// name, the context and the path of that kubeconfig.
    command: Command(CommandSpec),
}
