//! One rule.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::fleet::Placed;
use super::{Finding, Fleet, Severity};
use bootstrapper_core::failure::Failure;

/// One rule: what it is about, and how it is checked.
#[derive(Clone, Copy, Serialize)]
pub struct Rule {
    /// Its name, in kebab-case: what a comment silences it by. It names the fault.
    pub name: &'static str,
    /// How grave a breach is.
    pub severity: Severity,
    /// The fault, in one sentence without a full stop.
    pub summary: &'static str,
    /// Why it matters: what happens on a cluster.
    pub why: &'static str,
    /// What to do about it.
    pub fix: &'static str,
    /// Finds all breaches. The rule itself is handed in, so that findings can be made of it.
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
    /// A finding of `rule`, with its reasons and its remedy unless better ones are given.
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
    /// A finding about one of its fields.
    pub fn finding(&self, rule: &Rule, field: &str, message: impl Into<String>) -> Finding {
        let finding = Finding::of(rule, message).in_cluster(&self.declared.cluster);
        finding.about(&self.id()).at(self.place(field))
    }
}
