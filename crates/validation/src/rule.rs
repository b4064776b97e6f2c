//! The definition of a rule.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::fleet::Placed;
use super::{Finding, Fleet, Severity};
use bootstrapper_core::failure::Failure;

/// A rule: its texts, and its check.
#[derive(Clone, Copy, Serialize)]
pub struct Rule {
    /// Its name in kebab-case, used in comments. It names the violation.
    pub name: &'static str,
    /// The severity of its findings.
    pub severity: Severity,
    /// The violation, in one sentence without a full stop.
    pub summary: &'static str,
    /// Why it matters: the consequence on a cluster.
    pub why: &'static str,
    /// How to fix it.
    pub fix: &'static str,
    /// Finds all violations. Takes the rule itself, to create its findings.
    #[serde(skip)]
    pub check: fn(&Rule, &Fleet) -> Vec<Finding>,
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("name", &self.name)
            .field("severity", &self.severity)
            .finish_non_exhaustive()
    }
}

impl Finding {
    /// A finding of `rule`, with the rule's reason and fix as defaults.
    pub fn of(rule: &Rule, message: impl Into<String>) -> Self {
        Self {
            rule: rule.name,
            severity: rule.severity,
            clusters: BTreeSet::new(),
            object: None,
            message: message.into(),
            why: rule.why.to_owned(),
            fix: rule.fix.to_owned(),
            location: None,
        }
    }

    /// A failure to load something, as a finding of `rule`.
    pub fn of_failure(rule: &Rule, failure: &Failure) -> Self {
        let mut finding = Self::of(rule, failure.what.clone());
        if !failure.because.is_empty() {
            finding.why = failure.because.join("\n");
        }
        if !failure.hints.is_empty() {
            finding.fix = failure.hints.join("\n");
        }
        finding.location.clone_from(&failure.location);
        finding
    }
}

impl Placed<'_> {
    /// A finding about one of the object's fields.
    pub fn finding(&self, rule: &Rule, field: &str, message: impl Into<String>) -> Finding {
        let finding = Finding::of(rule, message).in_cluster(&self.declared.cluster);
        finding.about(&self.id()).at(self.place(field))
    }
}
