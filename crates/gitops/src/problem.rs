//! Problems of a cluster's declaration. Loading continues after a problem, so that all of them
//! are reported at once.

use std::fmt;

use serde::Serialize;

use super::place::{Files, Written};
use bootstrapper_core::failure::Failure;
use bootstrapper_core::object::ObjectRef;

/// One problem.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// Its kind.
    pub kind: ProblemKind,
    /// What, why, where, and how to fix it.
    pub failure: Failure,
    /// The Kustomization or HelmRelease that it belongs to, if it is a single one.
    #[serde(skip)]
    pub of: Option<Box<ObjectRef>>,
}

impl Problem {
    pub(super) fn new(kind: ProblemKind, failure: Failure) -> Self {
        Self { kind, failure, of: None }
    }

    /// Sets the Kustomization or HelmRelease that it belongs to.
    pub(super) fn of(mut self, id: &ObjectRef) -> Self {
        self.of = Some(Box::new(id.clone()));
        self
    }

    /// Sets the location to that of the field.
    pub(super) fn placed(mut self, written: Option<&Written>, field: &str, files: &Files) -> Self {
        if self.failure.location.is_none() {
            self.failure.location = written.and_then(|written| written.place(files, field));
        }
        self
    }
}

/// The kinds of problems that loading detects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// The kustomize build of a Kustomization fails.
    UnbuildableKustomization,
    /// The Flux operator fails to render a ResourceSet.
    UnbuildableResourceSet,
    /// An object depends on something that cannot be evaluated here: it is omitted.
    NotEvaluated,
    /// A build needs a URL that is unavailable now: whether it is valid is unknown.
    Unfetchable,
    /// A kustomization references a file outside the repository.
    OutsideRepository,
    /// A kustomization references a URL that is not downloaded: not over TLS, or with an invalid ref.
    RefusedAddress,
    /// A file, or its expanded aliases, exceeds the size limit.
    ExcessiveInput,
    /// The URL of a source, or a chart's name or version, contains a secret value.
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
    /// A release has no chart, or a source of a kind that has no charts.
    NoChart,
    /// A chart without a version.
    UnpinnedChart,
    /// A release stores its state in another namespace than that of its objects.
    StorageNamespaceApart,
    /// A ConfigMap, Secret or key of valuesFrom is not found.
    MissingValuesSource,
    /// A values source is not YAML.
    UnreadableValues,
    /// A values source has an invalid `targetPath`.
    UnsupportedTargetPath,
}

impl ProblemKind {
    /// Whether a referenced object is missing.
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
    /// Its name in the form of rule names: `undefined-variable`.
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
