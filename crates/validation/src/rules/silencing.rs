//! Comments that silence rules. Their problems are known only after all other findings, so `silence` creates
//! these findings.

use crate::{Rule, Severity};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "ignore-without-reason",
        severity: Severity::Error,
        summary: "an ignore comment has no reason",
        why: "without a reason, nobody can tell whether it still applies, so it has no effect",
        fix: "write it as `# bootstrapper:ignore <rule> <reason>`",
        check: |_, _| Vec::new(),
    },
    Rule {
        name: "ignore-unused",
        severity: Severity::Warning,
        summary: "an ignore comment matches no finding",
        why: "it would hide the next finding, which nobody has reviewed",
        fix: "remove the comment, or move it to the line before what it applies to",
        check: |_, _| Vec::new(),
    },
];
