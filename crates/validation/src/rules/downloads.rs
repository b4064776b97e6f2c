//! What is downloaded, and what verifies it.

use std::collections::BTreeMap;

use crate::{Finding, Fleet, Rule, Severity};
use bootstrapper_core::failure::Location;
use bootstrapper_gitops::pipeline::{Applies, Manifest};

pub(crate) const RULES: &[Rule] = &[Rule {
    name: "unverified-download",
    severity: Severity::Info,
    summary: "a manifest or remote base is downloaded, and nothing verifies it",
    why: "TLS says from whom it comes, and not that it is the same as yesterday: a tag or a file of a release can be replaced",
    fix: "give the step `sha256:` (a plan shows it); name a remote base by a commit (`?ref=` and 40 digits), or let Flux fetch it by a GitRepository at a commit",
    check: unverified,
}];

fn unverified(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    let bases: BTreeMap<&String, &Option<Location>> =
        fleet.clusters.iter().flat_map(|declared| &declared.unverified).collect();
    let bases = bases.into_iter().map(|(address, place)| {
        Finding::of(rule, format!("{address} is fetched, and nothing verifies it")).at(place.clone())
    });
    let manifests = fleet.steps().filter_map(|step| match step.kind.applies() {
        Applies::CrdsOfManifest(Manifest { location, sha256: None }) if location.contains("://") => {
            let message = format!("{location} is fetched, and nothing verifies it");
            Some(Finding::of(rule, message).at(Some(step.place().clone())))
        }
        _ => None,
    });
    bases.chain(manifests).collect()
}
