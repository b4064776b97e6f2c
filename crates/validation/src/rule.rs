//! One rule.

use std::fmt;

use serde::Serialize;

use super::{Finding, Fleet, Severity};

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
