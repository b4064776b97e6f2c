//! Findings as SARIF 2.1.0, which code hosts show next to the affected lines.

use serde_json::{Value, json};

use super::{Finding, Report, Severity, catalogue};

/// The report as a SARIF log.
pub fn sarif(report: &Report) -> Value {
    let open = report.findings.iter().map(|finding| result(finding, None));
    let silenced = report.silenced.iter().map(|one| result(&one.finding, Some(&one.reason)));
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "bootstrapper",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": catalogue().map(|rule| json!({
                    "id": rule.name,
                    "shortDescription": {"text": rule.summary},
                    "fullDescription": {"text": rule.why},
                    "help": {"text": rule.fix},
                    "defaultConfiguration": {"level": level(rule.severity)},
                })).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": open.chain(silenced).collect::<Vec<_>>(),
        }],
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

fn result(finding: &Finding, reason: Option<&str>) -> Value {
    let mut result = json!({
        "ruleId": finding.rule,
        "ruleIndex": catalogue().position(|rule| rule.name == finding.rule),
        "level": level(finding.severity),
        "message": {"text": format!("{}. Why: {}. Fix: {}.", finding.message, finding.why, finding.fix)},
        "properties": {"clusters": finding.clusters},
    });
    if let Some(place) = &finding.location {
        result["locations"] = json!([{"physicalLocation": {
            "artifactLocation": {"uri": place.file, "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": place.line, "startColumn": place.column},
        }}]);
    }
    if let Some(reason) = reason {
        result["suppressions"] = json!([{"kind": "inSource", "justification": reason}]);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Silenced, rule_named};
    use bootstrapper_core::failure::Location;

    #[test]
    fn has_the_structure_that_code_hosts_read() {
        let rule = rule_named("object-owned-twice").unwrap();
        let place = Location { file: "kubernetes/a.yaml".into(), line: 3, column: 5 };
        let open = Finding::of(rule, "twice").in_cluster("infra").at(Some(place));
        let silenced = Silenced { finding: Finding::of(rule, "known"), reason: "moving it".to_owned() };
        let log = sarif(&Report { findings: vec![open], silenced: vec![silenced] });
        assert_eq!(log["version"], "2.1.0");
        let run = &log["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        assert_eq!(rules.len(), catalogue().count());
        let [open, silenced] = run["results"].as_array().unwrap().as_slice() else { panic!("{run}") };
        let index = usize::try_from(open["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], open["ruleId"]);
        assert_eq!(open["level"], "error");
        let physical = &open["locations"][0]["physicalLocation"];
        assert_eq!(physical["artifactLocation"]["uri"], "kubernetes/a.yaml");
        assert_eq!(physical["region"], json!({"startLine": 3, "startColumn": 5}));
        assert!(open.get("suppressions").is_none());
        assert_eq!(silenced["suppressions"][0], json!({"kind": "inSource", "justification": "moving it"}));
    }
}
