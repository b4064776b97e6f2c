//! Helm releases.

use std::collections::BTreeMap;

use crate::{Finding, Fleet, Rule, Severity};
use bootstrapper_gitops::Release;

pub(crate) const RULES: &[Rule] = &[Rule {
    name: "release-name-clash",
    severity: Severity::Error,
    summary: "two HelmReleases manage the same Helm release",
    why: "helm-controller upgrades it from one to the other and back, and each removes the objects of the other",
    fix: "give one of them another `releaseName`, or another namespace",
    check: name_clash,
}];

fn name_clash(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let mut first: BTreeMap<(&str, &str), &Release> = BTreeMap::new();
        let mut found = Vec::new();
        for release in &declared.releases {
            let key = (release.release_namespace.as_str(), release.release_name.as_str());
            match first.get(&key) {
                Some(other) if other.id != release.id => {
                    let field = if release.object.data["spec"]["releaseName"].is_null() {
                        "metadata.name"
                    } else {
                        "spec.releaseName"
                    };
                    let message =
                        format!("{} and {} are both release {}/{}", other.id, release.id, key.0, key.1);
                    found.push(
                        Finding::of(rule, message)
                            .in_cluster(&declared.cluster)
                            .about(&release.id)
                            .at(declared.place(&release.id, field)),
                    );
                }
                _ => {
                    first.insert(key, release);
                }
            }
        }
        found
    })
}
