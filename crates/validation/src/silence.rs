//! Comments that silence a rule: `# bootstrapper:ignore <rule> <reason>`.
//!
//! At the end of a line it applies to that line; on its own line, to the next line that is not a comment;
//! before the first content of a file, to the whole file.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Finding, Fleet, Rule};
use bootstrapper_core::failure::Location;

/// The result of a validation.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The findings, by severity, then by location.
    pub findings: Vec<Finding>,
    /// The silenced findings.
    pub silenced: Vec<Silenced>,
}

/// A finding that a comment silences.
#[derive(Debug, Clone)]
pub struct Silenced {
    /// The finding.
    pub finding: Finding,
    /// The reason in the comment.
    pub reason: String,
}

/// Finds a rule by its name.
type ByName = fn(&str) -> Option<&'static Rule>;

const MARK: &str = "bootstrapper:ignore";

/// One comment.
#[derive(Debug, PartialEq, Eq)]
struct Comment<'a> {
    at: Location,
    rule: &'a str,
    reason: &'a str,
    counts_for: CountsFor,
}

#[derive(Debug, PartialEq, Eq)]
enum CountsFor {
    File,
    Line(usize),
}

impl Comment<'_> {
    fn silences(&self, finding: &Finding) -> bool {
        let Some(place) = &finding.location else { return false };
        let is_there = match self.counts_for {
            CountsFor::File => true,
            CountsFor::Line(line) => place.line == line,
        };
        finding.rule == self.rule && place.file == self.at.file && is_there
    }
}

/// Removes silenced findings from `found`, and adds findings about faulty comments.
pub(super) fn silence(found: Vec<Finding>, fleet: &Fleet, rule_named: ByName) -> Report {
    let comments: Vec<Comment<'_>> =
        fleet.files.iter().flat_map(|(file, text)| comments_of(file, text)).collect();
    let mut report = Report::default();
    let mut used = BTreeSet::new();
    for finding in found {
        let silencing = comments.iter().enumerate().find(|(_, comment)| comment.silences(&finding));
        match silencing {
            Some((at, comment)) if !comment.reason.is_empty() => {
                used.insert(at);
                report.silenced.push(Silenced { finding, reason: comment.reason.to_owned() });
            }
            Some((at, _)) => {
                used.insert(at);
                report.findings.push(finding);
            }
            None => report.findings.push(finding),
        }
    }
    for (at, comment) in comments.iter().enumerate() {
        report.findings.extend(fault_of(comment, used.contains(&at), fleet.is_whole, rule_named));
    }
    report
}

/// The problem of a comment: it has no reason, or silences nothing.
fn fault_of(comment: &Comment<'_>, is_used: bool, is_whole: bool, rule_named: ByName) -> Option<Finding> {
    let finding = |rule: &str, message: String| {
        rule_named(rule).map(|rule| Finding::of(rule, message).at(Some(comment.at.clone())))
    };
    let Comment { rule, reason, .. } = comment;
    if rule_named(rule).is_none() {
        return finding("ignore-unused", format!("unknown rule `{rule}`"));
    }
    if reason.is_empty() {
        return finding("ignore-without-reason", format!("`{rule}` is ignored without a reason"));
    }
    // It may silence a finding in a cluster that was not validated.
    (is_whole && !is_used).then(|| finding("ignore-unused", format!("no finding of `{rule}` here")))?
}

fn comments_of<'a>(file: &Path, text: &'a str) -> Vec<Comment<'a>> {
    if !text.contains(MARK) {
        return Vec::new();
    }
    let lines: Vec<&str> = text.lines().collect();
    let says_something = |line: &&str| !is_comment(line) && line.trim() != "---";
    let first = lines.iter().position(says_something).unwrap_or(lines.len());
    let mut comments = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some((before, after)) = line.split_once(MARK) else { continue };
        let Some(hash) = before.trim_end().strip_suffix('#') else { continue };
        let counts_for = if !hash.trim().is_empty() {
            CountsFor::Line(at + 1)
        } else if at < first {
            CountsFor::File
        } else {
            let next = lines[at..].iter().position(says_something).map_or(lines.len(), |next| at + next);
            CountsFor::Line(next + 1)
        };
        let after = after.trim();
        let (rule, reason) = after.split_once(char::is_whitespace).unwrap_or((after, ""));
        let at = Location { file: file.to_owned(), line: at + 1, column: hash.chars().count() + 1 };
        comments.push(Comment { at, rule, reason: reason.trim(), counts_for });
    }
    comments
}

fn is_comment(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_comment_counts() {
        let table = [
            ("a: 1 # bootstrapper:ignore r why\n", 1, "why", CountsFor::Line(1)),
            ("a: 1\n# bootstrapper:ignore r it is so\n# more\nb: 2\n", 2, "it is so", CountsFor::Line(4)),
            ("---\n# bootstrapper:ignore r\na: 1\n", 2, "", CountsFor::File),
        ];
        for (text, line, reason, counts_for) in table {
            let comments = comments_of(Path::new("a.yaml"), text);
            assert_eq!(comments.len(), 1, "{text}");
            let comment = &comments[0];
            assert_eq!((comment.rule, comment.reason, comment.at.line), ("r", reason, line));
            assert_eq!(comment.counts_for, counts_for, "{text}");
        }
        assert!(comments_of(Path::new("a.yaml"), "a: bootstrapper:ignore r\n").is_empty());
    }
}
