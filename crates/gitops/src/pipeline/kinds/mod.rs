//! The kinds of steps: one file each, and one table. A file defines a kind's format in task files, the default
//! name of a step, what it applies and what it waits for. How it acts on a cluster is in the file with the same
//! name in the crate `steps`.

mod adoption;
mod checks;
mod command;
mod crds;
mod handover;
mod kustomization;
mod manifest;
mod namespaces;
mod objects;
mod part;
mod release;
mod repair;
mod secrets;
mod source;
mod sync;
mod table;
mod wait;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::words::Named;
use crate::Declared;
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::ObjectRef;
use bootstrapper_readiness::Probe;

pub use adoption::AdoptionSpec;
pub use checks::{Check, ChecksSpec};
pub use command::CommandSpec;
pub use crds::{CrdsSpec, Manifest, is_sha256};
pub use handover::HandoverSpec;
pub use kustomization::KustomizationSpec;
pub use manifest::RemoteManifestSpec;
pub use namespaces::NamespacesSpec;
pub use objects::ObjectsSpec;
pub use part::PartSpec;
pub use release::ReleaseSpec;
pub use repair::RepairSpec;
pub use secrets::SecretsSpec;
pub use source::SourceSpec;
pub use sync::SyncSpec;
pub(super) use table::StepFile;
pub use table::StepKind;
pub use wait::WaitSpec;

/// A kind of step, as task files declare it. It has no defaults: a new kind implements every method.
pub(super) trait Kind: Sized {
    /// Its format in a task file.
    type Written: DeserializeOwned + JsonSchema;

    /// Parses the format of a task file; fails with what is invalid.
    fn read(written: Self::Written) -> Result<Self, String>;

    /// Its default name within its stage.
    fn name(&self) -> String;

    /// What it applies to a cluster.
    fn applies(&self) -> Applies<'_>;

    /// What it waits for.
    fn awaits(&self) -> Awaits<'_>;

    /// Fails if the cluster's declaration cannot be applied. Needs no cluster.
    fn check(&self, declared: &Declared) -> Result<()>;
}

/// What a step applies to a cluster.
#[derive(Debug, Clone, Copy)]
pub enum Applies<'a> {
    /// Nothing.
    Nothing,
    /// Namespaces.
    Namespaces(&'a Named),
    /// The declared secrets.
    Secrets,
    /// The objects of the Kustomization with this name.
    Kustomization(&'a str),
    /// Some of its objects.
    Part(&'a PartSpec),
    /// The CRDs of the Kustomization with this name, and of the Kustomizations that it applies.
    CrdsOfKustomization(&'a str),
    /// The CRDs of a manifest.
    CrdsOfManifest(&'a Manifest),
    /// All objects of a manifest.
    Manifest(&'a Manifest),
    /// The CRDs in the charts of releases.
    CrdsOfReleases(&'a Named),
    /// The HelmRelease with this name.
    Release(&'a str),
    /// The cluster's source.
    Source,
    /// The cluster's root Kustomization.
    Sync,
    /// The objects of a file in the repository.
    File,
    /// Whatever a program applies.
    Program,
}

/// What a step waits for.
#[derive(Debug, Clone, Copy)]
pub enum Awaits<'a> {
    /// Nothing.
    Nothing,
    /// What it applies, unless the step has `await: false`.
    Applied,
    /// A probe.
    Probe(Probe),
    /// One object.
    Object(&'a ObjectRef),
    /// Flux, and everything that it reconciles.
    Flux,
}

impl<'a> Applies<'a> {
    /// The kind and name of the declared object that a step is about; none if it has no single one.
    pub fn subject(self) -> Option<(&'static str, &'a str)> {
        match self {
            Self::Kustomization(name) | Self::CrdsOfKustomization(name) => Some(("Kustomization", name)),
            Self::Part(part) => Some(("Kustomization", &part.of)),
            Self::Release(name) => Some(("HelmRelease", name)),
            Self::Nothing
            | Self::Namespaces(_)
            | Self::Secrets
            | Self::CrdsOfManifest(_)
            | Self::Manifest(_)
            | Self::CrdsOfReleases(_)
            | Self::Source
            | Self::Sync
            | Self::File
            | Self::Program => None,
        }
    }

    /// Whether a cluster declares what a step is about.
    pub fn is_declared(self, declared: &Declared) -> bool {
        match self.subject() {
            Some(("HelmRelease", name)) => declared.release(name).is_some(),
            Some((_, name)) => declared.kustomization(name).is_some(),
            None => true,
        }
    }
}

/// The last part of a path or URL, without its extension.
fn stem(location: &str) -> &str {
    let last = location.trim_end_matches('/').rsplit('/').next().unwrap_or(location);
    last.split_once('.').map_or(last, |(stem, _)| stem)
}
