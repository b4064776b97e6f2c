//! Findings of a validation, as the person who has to mend them reads them.

use std::fmt::Write as _;

use bootstrapper_core::output::paint;
use bootstrapper_core::words::count;
use bootstrapper_report::{indented, stdout_has_colour};
use bootstrapper_validation::{Finding, Report, Severity};

/// Every finding, grouped by file, and how many there are. In colour where stdout shows it.
pub(crate) fn findings_text(report: &Report, clusters: &[String]) -> String {
    text(report, clusters, stdout_has_colour())
}

fn text(report: &Report, clusters: &[String], colour: bool) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        write_finding(&mut text, finding, clusters.len(), colour);
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

fn write_finding(text: &mut String, finding: &Finding, of: usize, colour: bool) {
    let code = match finding.severity {
        Severity::Error => "1;31",
        Severity::Warning => "1;33",
        Severity::Info => "1;36",
    };
    let place = finding.location.as_ref().map_or_else(|| "(no location)".to_owned(), ToString::to_string);
    let severity = paint(finding.severity.word(), code, colour);
    let _ = writeln!(text, "{place}  {severity}  {}", finding.rule);
    let _ = writeln!(text, "  {}", indented(&finding.message, 4));
    if finding.clusters.len() < of && !finding.clusters.is_empty() {
        let clusters: Vec<&str> = finding.clusters.iter().map(String::as_str).collect();
        let _ = writeln!(text, "  in    {}", clusters.join(", "));
    }
    for (label, said) in [("why", &finding.why), ("fix", &finding.fix)] {
        for (at, line) in said.lines().enumerate() {
            let _ = writeln!(text, "  {:<5} {line}", if at == 0 { label } else { "" });
        }
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
}
