//! Secrets that cannot be resolved.

use super::{Findings, Subject};

pub(super) fn check(subject: &Subject) -> Findings {
    let mut findings: Findings = subject.unresolved_secrets.iter().cloned().map(Some).collect();
    findings.looked_at = findings.looked_at.max(1);
    findings
}
