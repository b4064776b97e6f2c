//! Problems of a cluster's declaration. Loading continues after a problem, so that all of them
//! are reported at once.

use std::fmt;

use serde::Serialize;

use super::place::{Files, Written};
use bootstrapper_core::failure::Failure;
use bootstrapper_core::object::ObjectRef;

/// One thing that is wrong.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// Its kind.
    pub kind: ProblemKind,
    /// What, why, where, and how to fix it.
    pub failure: Failure,
    /// The Kustomization or HelmRelease that it is a problem of, if it is one of a single one.
    #[serde(skip)]
    pub of: Option<Box<ObjectRef>>,
}

impl Problem {
    pub(super) fn new(kind: ProblemKind, failure: Failure) -> Self {
        Self { kind, failure, of: None }
    }

    /// The same, of this Kustomization or HelmRelease.
    pub(super) fn of(mut self, id: &ObjectRef) -> Self {
        self.of = Some(Box::new(id.clone()));
        self
    }

    /// Sets the location of the field that shows it.
    pub(super) fn placed(mut self, written: Option<&Written>, field: &str, files: &Files) -> Self {
        if self.failure.location.is_none() {
            self.failure.location = written.and_then(|written| written.place(files, field));
        }
        self
    }
}

/// Every kind of thing that loading can find wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// The kustomize build of a Kustomization fails.
    UnbuildableKustomization,
    /// The Flux operator refuses to render a ResourceSet.
    UnbuildableResourceSet,
    /// What something makes depends on what nobody here can evaluate: it is left out.
    NotEvaluated,
    /// What a Kustomization builds names an address that does not answer now: nobody can say whether
    /// it is right.
    Unfetchable,
    /// A kustomization references a file outside the repository.
    OutsideRepository,
    /// A kustomization names an address that is not fetched: not over TLS, or with a ref that is none.
    RefusedAddress,
    /// A file, or its expanded aliases, exceeds the size limit.
    ExcessiveInput,
    /// The address of a source, or a chart's name or version, holds the value of a secret.
    SecretInAddress,
    /// A built document is not an object, before or after substitution.
    NotAnObject,
    /// A Kustomization's path is not found.
    MissingPath,
    /// A Kustomization's source is not found.
    MissingSource,
    /// A variable has no value, and no default.
    UndefinedVariable,
    /// A `${…}` that Flux cannot parse.
    MalformedSubstitution,
    /// An invalid variable name.
    VariableName,
    /// A ConfigMap or Secret of substituteFrom is not found.
    MissingSubstituteFrom,
    /// A dependency is not found.
    UnknownDependency,
    /// A dependency cycle.
    CyclicDependency,
    /// The source of a release's chart is not found.
    MissingChartSource,
    /// A release has no chart, or a source of a kind that cannot hold one.
    NoChart,
    /// A chart without a version.
    UnpinnedChart,
    /// A release stores its state in another namespace than it installs into.
    StorageNamespaceApart,
    /// A ConfigMap, Secret or key of valuesFrom is not found.
    MissingValuesSource,
    /// A values source is not YAML.
    UnreadableValues,
    /// A values source has an invalid `targetPath`.
    UnsupportedTargetPath,
}

impl ProblemKind {
    /// Whether something is not there that something else names.
    pub(super) fn is_about_missing(self) -> bool {
        matches!(
            self,
            Self::MissingSource
                | Self::MissingSubstituteFrom
                | Self::MissingChartSource
                | Self::MissingValuesSource
                | Self::UnknownDependency
        )
    }
}

impl fmt::Display for ProblemKind {
    /// Its name as rules have names: `undefined-variable`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_as_rules_are() {
        assert_eq!(ProblemKind::UndefinedVariable.to_string(), "undefined-variable");
    }
}
