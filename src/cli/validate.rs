//! `bootstrapper validate`: checks the task files and the clusters' declarations, without a cluster.

use serde::Serialize;

use super::args::{FindingsOutput, ValidateArgs};
use super::fleet::load;
use super::out;
use super::repository::open_repository;
use super::sandbox;
use super::show;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::words::count;
use bootstrapper_gitops::renderings;
use bootstrapper_report as report;
use bootstrapper_tools::Helm;
use bootstrapper_validation::{self as validation, Finding, Report, Rule, Severity};

#[derive(Serialize)]
struct ValidationReport<'a> {
    clusters: &'a [String],
    findings: &'a [Finding],
    silenced: Vec<SilencedFinding<'a>>,
}

#[derive(Serialize)]
struct SilencedFinding<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    reason: &'a str,
}

pub(super) async fn validate(args: &ValidateArgs) -> Result<()> {
    if args.rules {
        return list_rules(args.output);
    }
    if let Some(name) = &args.explain {
        return explain(name);
    }
    let repository = open_repository(args.repo.as_deref())?;
    args.clusters.iter().try_for_each(|name| repository.require(name))?;
    let clusters = if args.clusters.is_empty() { repository.clusters.clone() } else { args.clusters.clone() };
    let environment = sandbox::environment_of(args, &clusters)?;
    let helm = if args.charts { Some(Helm::find(&environment).await?) } else { None };
    let mut fleet = load(&repository, &clusters, &environment).await?;
    for declared in &mut fleet.clusters {
        declared.renderings = renderings(&declared.releases, &environment, helm.as_ref()).await;
    }
    let report = validation::validate(&fleet);
    match args.output {
        FindingsOutput::Json => out::json(&answer(&report, &clusters))?,
        FindingsOutput::Sarif => out::json(&validation::sarif(&report))?,
        FindingsOutput::Text | FindingsOutput::Markdown => {
            out::text(&show::findings_text(&report, &clusters))?;
        }
    }
    verdict(&report, args.strict)
}

fn answer<'a>(report: &'a Report, clusters: &'a [String]) -> ValidationReport<'a> {
    let silenced =
        report.silenced.iter().map(|one| SilencedFinding { finding: &one.finding, reason: &one.reason });
    ValidationReport { clusters, findings: &report.findings, silenced: silenced.collect() }
}

/// Warnings are failures only with `--strict`.
fn verdict(report: &Report, strict: bool) -> Result<()> {
    let gravest = if strict { Severity::Warning } else { Severity::Error };
    match report.findings.iter().filter(|finding| finding.severity <= gravest).count() {
        0 => Ok(()),
        some => Err(Failure::input(format!("{} found", count(some as u64, "problem")))
            .hint("`bootstrapper validate --explain RULE` explains a rule")),
    }
}

fn list_rules(output: FindingsOutput) -> Result<()> {
    let rules = validation::catalogue();
    match output {
        FindingsOutput::Markdown => out::text(&validation::rules_document()),
        FindingsOutput::Text => out::text(&report::table(
            &["RULE", "SEVERITY", "DESCRIPTION"],
            rules.map(|rule| [rule.name, rule.severity.name(), rule.summary].map(str::to_owned).to_vec()),
        )),
        FindingsOutput::Json | FindingsOutput::Sarif => out::json(&rules.collect::<Vec<&Rule>>()),
    }
}

fn explain(name: &str) -> Result<()> {
    let Some(rule) = validation::rule_named(name) else {
        let nearest = validation::catalogue()
            .max_by(|a, b| strsim::jaro_winkler(a.name, name).total_cmp(&strsim::jaro_winkler(b.name, name)));
        let failure = Failure::input(format!("unknown rule `{name}`"))
            .hint("`bootstrapper validate --rules` lists them");
        return Err(match nearest {
            Some(nearest) => failure.hint(format!("did you mean `{}`?", nearest.name)),
            None => failure,
        });
    };
    let Rule { name, severity, summary, why, fix, .. } = rule;
    out::text(&format!(
        "{name}  {}\n  {summary}\n  why     {why}\n  fix     {fix}\n  ignore  # bootstrapper:ignore {name} <reason>\n",
        severity.name()
    ))
}
