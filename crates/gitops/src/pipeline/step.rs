//! A step, as the rest of the program sees it.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::words::{DeclaredWord, Named};
use bootstrapper_core::failure::{Failure, Location};
use bootstrapper_core::object::ObjectRef;
use bootstrapper_readiness::Probe;

/// A step of a stage.
#[derive(Debug, Clone)]
pub struct StepSpec {
    /// What it does.
    pub kind: StepKind,
    /// How long it may take; the default if none.
    pub timeout: Option<Duration>,
    /// How long nothing may change meanwhile; the default if none.
    pub inactivity: Option<Duration>,
    /// Whether a cluster must declare what it is about.
    pub when: When,
    pub(super) own_name: Option<String>,
    pub(super) await_workloads: bool,
    pub(super) location: Location,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum StepKind {
    /// Looks for problems, and lists all of them.
    Checks(Vec<Check>),
    /// Namespaces.
    Namespaces(Named),
    /// The secrets of `bootstrapper.yaml`.
    Secrets(DeclaredWord),
    /// The objects of a file of the repository.
    Objects(PathBuf),
    /// What the Flux Kustomization of that name builds to.
    Kustomization(String),
    /// CRDs, served before what uses them.
    Crds(CrdSpec),
    /// The HelmRelease of that name.
    Release(String),
    /// A fact of the cluster.
    Wait(WaitSpec),
    /// What may have to be put right on the way.
    Repair(Repair),
    /// The GitRepository.
    Source(DeclaredWord),
    /// The root Kustomization.
    Sync(DeclaredWord),
    /// How Flux takes over, told before or after.
    Adoption(Moment),
    /// Flux takes over.
    Handover(DeclaredWord),
    /// A program of the user's own.
    Command(Vec<String>),
}

/// Whether a cluster must declare what a step is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// It must.
    #[default]
    Always,
    /// A cluster that does not skips the step.
    Declared,
}

/// What preflight looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// Programs and their versions.
    Tools,
    /// The API server's version.
    Server,
    /// That it is the named cluster.
    Identity,
    /// What the credentials may do.
    Permissions,
    /// That nodes have joined, where they were declared.
    Nodes,
    /// Address ranges that collide.
    Addresses,
    /// Secrets that can be resolved.
    Secrets,
}

/// What is put right, where it is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Repair {
    /// A cilium-operator that started before the Gateway API CRDs, and does not know them.
    #[serde(rename = "cilium.gateway")]
    CiliumGateway,
}

/// Where CRDs come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CrdSpec {
    /// The Flux Kustomization of that name, and those that it brings.
    Kustomization(String),
    /// A manifest.
    Manifest {
        /// An `https://` address, or a path of the repository.
        location: String,
        /// The SHA-256 of what the address answers, in hexadecimal.
        sha256: Option<String>,
    },
    /// The charts of the declared releases.
    Releases(DeclaredWord),
}

/// When it is told how Flux takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Moment {
    /// Before Flux begins: what it will change.
    Foretold,
    /// After it has taken over: what it did change.
    Confirmed,
}

/// What is waited for.
#[derive(Debug, Clone)]
pub enum WaitSpec {
    /// A probe.
    Probe(Probe),
    /// One object.
    Object {
        /// The object.
        id: ObjectRef,
        /// CEL that is true once it is ready.
        ready: Option<String>,
        /// CEL that is true once it never will be.
        failed: Option<String>,
    },
}

impl StepSpec {
    /// Its name within the stage: its own, or one made of what it does.
    pub fn name(&self) -> String {
        if let Some(name) = &self.own_name {
            return name.clone();
        }
        match &self.kind {
            StepKind::Checks(_) => "checks".into(),
            StepKind::Namespaces(_) => "namespaces".into(),
            StepKind::Secrets(_) => "secrets".into(),
            StepKind::Objects(path) => format!("objects-{}", stem(&path.to_string_lossy())),
            StepKind::Kustomization(name) => format!("kustomization-{name}"),
            StepKind::Crds(CrdSpec::Kustomization(name)) => format!("crds-{name}"),
            StepKind::Crds(CrdSpec::Manifest { location, .. }) => format!("crds-{}", stem(location)),
            StepKind::Crds(CrdSpec::Releases(_)) => "crds-releases".into(),
            StepKind::Release(name) => format!("release-{name}"),
            StepKind::Wait(WaitSpec::Probe(probe)) => format!("wait-{probe}"),
            StepKind::Wait(WaitSpec::Object { id, .. }) => format!("wait-{}", id.name),
            StepKind::Repair(Repair::CiliumGateway) => "repair-cilium.gateway".into(),
            StepKind::Source(_) => "source".into(),
            StepKind::Sync(_) => "sync".into(),
            StepKind::Adoption(Moment::Foretold) => "adoption-foretold".into(),
            StepKind::Adoption(Moment::Confirmed) => "adoption-confirmed".into(),
            StepKind::Handover(_) => "handover".into(),
            StepKind::Command(argv) => {
                format!("command-{}", argv.first().map_or("", |program| stem(program)))
            }
        }
    }

    /// Whether what it makes must also be ready.
    pub fn await_workloads(&self) -> bool {
        self.await_workloads
    }

    /// Its place in the task file.
    pub fn place(&self) -> &Location {
        &self.location
    }

    /// A failure about this step, at its place in the task file.
    pub fn refuse(&self, what: impl Into<String>) -> Failure {
        Failure::input(what).at(self.location.clone())
    }

    /// A failure of what this step is about: it is at the step, unless it has a place of its own.
    pub fn placed(&self, failure: Failure) -> Failure {
        if failure.location.is_some() { failure } else { failure.at(self.location.clone()) }
    }
}

/// The last part of a path or address, without its extension.
fn stem(location: &str) -> &str {
    let last = location.trim_end_matches('/').rsplit('/').next().unwrap_or(location);
    last.split_once('.').map_or(last, |(stem, _)| stem)
}
