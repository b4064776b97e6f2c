//! Comments that silence rules. What is wrong with one is known once everything has been found, so
//! `silence` makes these findings.

use crate::{Rule, Severity};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "ignore-without-reason",
        severity: Severity::Error,
        summary: "a comment silences a rule and gives no reason",
        why: "whoever reads it next cannot know if the reason still holds, so nothing is silenced",
        fix: "write it as `# bootstrapper:ignore <rule> <reason>`",
        check: |_, _| Vec::new(),
    },
    Rule {
        name: "ignore-unused",
        severity: Severity::Warning,
        summary: "a comment silences a rule that nothing breaks there",
        why: "it would hide the next breach, which nobody has looked at",
        fix: "take the comment out, or put it on the line before what it is about",
        check: |_, _| Vec::new(),
    },
];
