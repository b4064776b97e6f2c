//! What is wrong with what a cluster declares. Loading goes on after a problem, so that all of them
//! are told at once.

use std::fmt;

use serde::Serialize;

use super::place::{Files, Written};
use bootstrapper_core::failure::Failure;
use bootstrapper_core::object::ObjectRef;

/// One thing that is wrong.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// What kind of thing it is.
    pub kind: ProblemKind,
    /// What, why, where, and what to do.
    pub failure: Failure,
    /// The Kustomization or HelmRelease that it is a problem of, if it is one of a single one.
    #[serde(skip)]
    pub of: Option<ObjectRef>,
}

impl Problem {
    pub(super) fn new(kind: ProblemKind, failure: Failure) -> Self {
        Self { kind, failure, of: None }
    }

    /// The same, of this Kustomization or HelmRelease.
    pub(super) fn of(mut self, id: &ObjectRef) -> Self {
        self.of = Some(id.clone());
        self
    }

    /// Says where the field of an object is written that shows it.
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
    /// kustomize refuses what a Kustomization builds.
    UnbuildableKustomization,
    /// What a Kustomization builds names an address that does not answer now: nobody can say whether
    /// it is right.
    Unfetchable,
    /// A kustomization names what does not lie in the repository.
    OutsideRepository,
    /// A kustomization names an address that is not fetched: not over TLS, or with a ref that is none.
    RefusedAddress,
    /// A file, or what its aliases stand for, is more than is read.
    ExcessiveInput,
    /// The address of a source, or a chart's name or version, holds the value of a secret.
    SecretInAddress,
    /// What a Kustomization builds to is no object, before or after substitution.
    NotAnObject,
    /// A Kustomization builds a folder that is not there.
    MissingPath,
    /// A Kustomization takes its files from a source that nothing declares.
    MissingSource,
    /// A variable has no value, and no default.
    UndefinedVariable,
    /// `${…}` that Flux does not understand.
    MalformedSubstitution,
    /// A name that no variable can have.
    VariableName,
    /// A Kustomization substitutes from a ConfigMap or Secret that nothing brings.
    MissingSubstituteFrom,
    /// Something depends on what nothing declares.
    UnknownDependency,
    /// Something depends on itself, by way of others.
    CyclicDependency,
    /// A release takes its chart from a source that nothing declares.
    MissingChartSource,
    /// A release says nothing about its chart, or names a kind of source that cannot hold one.
    NoChart,
    /// A chart without a version.
    UnpinnedChart,
    /// A release keeps its state elsewhere than it installs.
    StorageNamespaceApart,
    /// A release takes values from a ConfigMap or Secret that nothing brings, or a key that it lacks.
    MissingValuesSource,
    /// What a release takes values from is no YAML.
    UnreadableValues,
    /// What a release takes values from cannot be put where its `targetPath` says.
    UnsupportedTargetPath,
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
