//! Versions that must be upgraded together.

use crate::fleet::{Placed, objects_of};
use crate::{Finding, Fleet, Rule, Severity};
use bootstrapper_gitops::{Declared, Release};

pub(crate) const RULES: &[Rule] = &[Rule {
    name: "crds-of-another-version",
    severity: Severity::Warning,
    summary: "a git repository of a project and its chart are at different versions",
    why: "the CRDs then belong to another version than the controller, which drops unknown fields, or fails to start",
    fix: "upgrade both together: the tag of the GitRepository and the version of the chart",
    check: apart,
}];

/// Projects whose chart version equals the repository's tag.
const SAME: [(&str, &str); 4] = [
    ("cert-manager", "cert-manager/cert-manager"),
    ("cilium", "cilium/cilium"),
    ("external-secrets", "external-secrets/external-secrets"),
    ("rook-ceph", "rook/rook"),
];

fn apart(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let sources =
            objects_of(declared).filter(|placed| placed.is("source.toolkit.fluxcd.io", "GitRepository"));
        sources.filter_map(|source| of_source(rule, declared, source)).collect()
    })
}

fn of_source(rule: &Rule, declared: &Declared, source: Placed<'_>) -> Option<Finding> {
    let url = source.field(&["spec", "url"]).as_str()?;
    let tag = source.field(&["spec", "ref", "tag"]).as_str()?;
    let release = release_of(declared, url)?;
    let (of_source, of_chart) = (version(tag)?, version(release.version())?);
    let message = format!("{} is at {tag}, the chart of {} at {of_chart}", source.id(), release.id);
    (of_source != of_chart).then(|| source.finding(rule, "spec.ref.tag", message))
}

fn release_of<'a>(declared: &'a Declared, url: &str) -> Option<&'a Release> {
    let path = url.trim_end_matches('/').trim_end_matches(".git");
    let (chart, _) = SAME.iter().find(|(_, project)| path.ends_with(&format!("/{project}")))?;
    declared.releases.iter().find(|release| release.chart.name() == *chart)
}

/// Parses a version, with or without `v`; none for a range.
fn version(text: &str) -> Option<semver::Version> {
    semver::Version::parse(text.strip_prefix('v').unwrap_or(text)).ok()
}
