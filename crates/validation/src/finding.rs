//! A finding: one violation of a rule.

use std::collections::BTreeSet;

use serde::Serialize;

use bootstrapper_core::failure::Location;
use bootstrapper_core::object::ObjectRef;

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Flux or the bootstrap will reject it, or get stuck on it.
    Error,
    /// It works now, but fails under some conditions.
    Warning,
    /// For information: something was not checked.
    Info,
}

impl Severity {
    /// `error`, `warning`, `info`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// One violation, in one or more clusters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule that found it.
    pub rule: &'static str,
    /// Its severity.
    pub severity: Severity,
    /// The affected clusters; empty for a file that belongs to no cluster, such as a task file.
    pub clusters: BTreeSet<String>,
    /// The affected object, if any.
    pub object: Option<ObjectRef>,
    /// What is wrong: one sentence without a full stop.
    pub message: String,
    /// Why it matters.
    pub why: String,
    /// How to fix it.
    pub fix: String,
    /// Where to fix it.
    pub location: Option<Location>,
}

impl Finding {
    /// Sets the cluster.
    #[must_use]
    pub fn in_cluster(mut self, cluster: &str) -> Self {
        self.clusters.insert(cluster.to_owned());
        self
    }

    /// Sets the object.
    #[must_use]
    pub fn about(mut self, object: &ObjectRef) -> Self {
        self.object = Some(object.clone());
        self
    }

    /// Sets a lower severity than that of the rule.
    #[must_use]
    pub fn with_severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Downgrades a finding about a missing object to a note if something may create that object.
    #[must_use]
    pub fn unless_created_by(self, by: Option<String>) -> Self {
        match by {
            Some(by) => self.with_severity(Severity::Info).because(by),
            None => self,
        }
    }

    /// Sets the location.
    #[must_use]
    pub fn at(mut self, location: Option<Location>) -> Self {
        self.location = location;
        self
    }

    /// Sets a more specific reason than that of the rule.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why = why.into();
        self
    }

    /// Sets a more specific fix.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }
}
