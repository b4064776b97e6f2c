//! Problems of rendering charts with the values of their releases.

use crate::{Finding, Fleet, Rule, Severity};
use bootstrapper_gitops::{ChartFault, Declared, Release, Rendering};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "values-refused",
        severity: Severity::Error,
        summary: "a chart rejects the values of its release",
        why: "Helm and Flux reject them on the cluster too, and install nothing",
        fix: "correct the values; `helm show values` lists those of the chart's version",
        check: |rule, fleet| {
            of_renderings(rule, fleet, ChartFault::Values, "rejects the values of", "spec.values")
        },
    },
    Rule {
        name: "chart-unfit",
        severity: Severity::Error,
        summary: "a chart can never be installed as it is declared",
        why: "Flux refuses a chart whose own version differs from the tag of its OCIRepository; and Helm refuses one that is incomplete or made for another Kubernetes, whatever its values",
        fix: "reference the artifact by digest (`ref.digest`) instead of by tag, or use another version",
        check: |rule, fleet| {
            of_renderings(rule, fleet, ChartFault::Chart, "can never be installed for", "spec")
        },
    },
    Rule {
        name: "chart-unfetchable",
        severity: Severity::Warning,
        summary: "a chart could not be fetched, so its release was not checked",
        why: "if it is missing in its registry, Flux cannot fetch it either",
        fix: "correct the address or the version, or retry when the registry answers",
        check: |rule, fleet| {
            of_renderings(rule, fleet, ChartFault::Download, "could not be fetched for", "spec")
        },
    },
];

fn of_renderings(rule: &Rule, fleet: &Fleet, wanted: ChartFault, verb: &str, field: &str) -> Vec<Finding> {
    let of = |declared: &Declared, release: &Release| {
        let Rendering::Fails { fault, said } = declared.renderings.get(&release.id)? else { return None };
        if *fault != wanted {
            return None;
        }
        let message = format!("chart {} {verb} {}", release.chart, release.id);
        let finding = Finding::of(rule, message).in_cluster(&declared.cluster).about(&release.id);
        let finding = finding.at(declared.place(&release.id, field));
        Some(if said.is_empty() { finding } else { finding.because(said.join("\n")) })
    };
    fleet.each(|declared| declared.releases.iter().filter_map(|release| of(declared, release)).collect())
}
