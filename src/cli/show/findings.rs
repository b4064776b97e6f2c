//! Validation findings, as text.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use bootstrapper_core::output::paint;
use bootstrapper_core::words::count;
use bootstrapper_report::{indented, stdout_has_colour};
use bootstrapper_validation::{Finding, Report, Severity};

/// Every finding, grouped by file, and their number. In colour if stdout supports it.
pub(crate) fn findings_text(report: &Report, clusters: &[String]) -> String {
    text(report, clusters, stdout_has_colour())
}

fn text(report: &Report, clusters: &[String], colour: bool) -> String {
    let mut text = String::new();
    for (finding, others) in folded(&report.findings) {
        write_finding(&mut text, finding, &others, clusters.len(), colour);
    }
    let number = |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    let silenced = match report.silenced.len() {
        0 => String::new(),
        some => format!("; {some} silenced"),
    };
    let names = clusters.join(", ");
    let (errors, warnings) = (number(Severity::Error), number(Severity::Warning));
    let _ = match (errors, warnings) {
        (0, 0) => writeln!(text, "{names}: valid{silenced}"),
        (0, _) => writeln!(text, "{names}: valid, with {}{silenced}", count(warnings as u64, "warning")),
        _ => {
            let (errors, warnings) = (count(errors as u64, "error"), count(warnings as u64, "warning"));
            writeln!(text, "{names}: {errors}, {warnings}{silenced}")
        }
    };
    text
}

/// More warnings and notes of one rule than this are combined.
const SHOWN: usize = 2;

/// The maximum number of locations shown for combined findings.
const PLACES: usize = 5;

/// Findings in order. Many warnings and notes of one rule are combined into the first of them; errors are
/// not.
fn folded(findings: &[Finding]) -> Vec<(&Finding, Vec<&Finding>)> {
    let is_same = |one: &Finding, other: &Finding| one.rule == other.rule && one.severity == other.severity;
    let mut shown: Vec<(&Finding, Vec<&Finding>)> = Vec::new();
    for finding in findings {
        let count = findings.iter().filter(|other| is_same(finding, other)).count();
        let is_folded = finding.severity != Severity::Error && count > SHOWN;
        match shown.iter_mut().find(|(first, _)| is_folded && is_same(first, finding)) {
            Some((_, others)) => others.push(finding),
            None => shown.push((finding, Vec::new())),
        }
    }
    shown
}

fn place_of(finding: &Finding) -> String {
    finding.location.as_ref().map_or_else(|| "(no location)".to_owned(), ToString::to_string)
}

fn write_finding(text: &mut String, finding: &Finding, others: &[&Finding], of: usize, colour: bool) {
    let code = match finding.severity {
        Severity::Error => "1;31",
        Severity::Warning => "1;33",
        Severity::Info => "1;36",
    };
    let place = place_of(finding);
    let severity = paint(finding.severity.name(), code, colour);
    let times = if others.is_empty() { String::new() } else { format!(" ×{}", others.len() + 1) };
    let _ = writeln!(text, "{place}  {severity}  {}{times}", finding.rule);
    let _ = writeln!(text, "  {}", indented(&finding.message, 4));
    let all = || [finding].into_iter().chain(others.iter().copied());
    let clusters: BTreeSet<&str> = all().flat_map(|one| &one.clusters).map(String::as_str).collect();
    if clusters.len() < of && !clusters.is_empty() {
        let clusters: Vec<&str> = clusters.into_iter().collect();
        let _ = writeln!(text, "  in    {}", clusters.join(", "));
    }
    for (label, said) in [("why", &finding.why), ("fix", &finding.fix)] {
        for (at, line) in said.lines().enumerate() {
            let _ = writeln!(text, "  {:<5} {line}", if at == 0 { label } else { "" });
        }
    }
    let places: Vec<String> = others.iter().take(PLACES).map(|one| place_of(one)).collect();
    if !places.is_empty() {
        let rest = others.len().saturating_sub(places.len());
        let more = if rest == 0 { String::new() } else { format!(", and {rest} more (all: --output json)") };
        let _ = writeln!(text, "  also  {}{more}", places.join(", "));
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use bootstrapper_core::failure::Location;
    use bootstrapper_validation::rule_named;

    #[test]
    fn says_where_what_why_and_what_to_do() {
        let rule = rule_named("impossible-step").unwrap();
        let finding = Finding::of(rule, "apps declares no HelmRelease called `dns`")
            .in_cluster("apps")
            .at(Some(Location { file: "tasks/bootstrap.yaml".into(), line: 3, column: 7 }))
            .because("one\ntwo")
            .fix("declare it");
        let report = Report { findings: vec![finding], silenced: Vec::new() };
        let clusters = ["apps".to_owned(), "infra".to_owned()];
        assert_eq!(
            text(&report, &clusters, false),
            "tasks/bootstrap.yaml:3:7  error  impossible-step\n  apps declares no HelmRelease called `dns`\n  \
             in    apps\n  why   one\n        two\n  fix   declare it\n\napps, infra: 1 error, no warnings\n"
        );
        assert_eq!(text(&Report::default(), &clusters, false), "apps, infra: valid\n");
    }

    #[test]
    fn notes_that_repeat_are_folded_and_errors_are_not() {
        let of = |rule: &str, line: usize| {
            let location = Location { file: "ks.yaml".into(), line, column: 1 };
            Finding::of(rule_named(rule).unwrap(), format!("number {line}"))
                .in_cluster("a")
                .at(Some(location))
        };
        let findings: Vec<Finding> = (1..=3)
            .map(|line| of("impossible-step", line))
            .chain((1..=9).map(|line| of("no-timeout", line)))
            .collect();
        let shown = text(&Report { findings, silenced: Vec::new() }, &["a".to_owned()], false);
        assert_eq!(shown.matches("error  impossible-step\n").count(), 3);
        assert_eq!(shown.matches("no-timeout").count(), 1);
        assert!(shown.contains("ks.yaml:1:1  warning  no-timeout ×9\n  number 1\n"), "{shown}");
        assert!(shown.contains("  also  ks.yaml:2:1, ks.yaml:3:1, ks.yaml:4:1, ks.yaml:5:1, ks.yaml:6:1, and 3 more (all: --output json)\n"), "{shown}");
        assert!(shown.ends_with("a: 3 errors, 9 warnings\n"), "{shown}");
    }
}
