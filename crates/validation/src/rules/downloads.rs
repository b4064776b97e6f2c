//! Downloads and their verification.

use std::collections::BTreeMap;

use crate::{Finding, Fleet, Rule, Severity};
use bootstrapper_core::failure::Location;
use bootstrapper_gitops::pipeline::{Applies, Manifest};

pub(crate) const RULES: &[Rule] = &[Rule {
    name: "unverified-download",
    severity: Severity::Info,
    summary: "a manifest or remote base is downloaded without verification",
    why: "TLS authenticates the server, not the content: a tag or a release file can be replaced",
    fix: "add `sha256:` to the step (`plan` shows it); pin a remote base to a commit (`?ref=` and 40 digits), or fetch it with a GitRepository at a commit",
    check: unverified,
}];

fn unverified(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    let bases: BTreeMap<&String, &Option<Location>> =
        fleet.clusters.iter().flat_map(|declared| &declared.unverified).collect();
    let bases = bases.into_iter().map(|(address, place)| {
        Finding::of(rule, format!("{address} is fetched without verification")).at(place.clone())
    });
    let manifests = fleet.steps().filter_map(|step| match step.kind.applies() {
        Applies::CrdsOfManifest(Manifest { location, sha256: None })
        | Applies::Manifest(Manifest { location, sha256: None })
            if location.contains("://") =>
        {
            let message = format!("{location} is fetched without verification");
            Some(Finding::of(rule, message).at(Some(step.place().clone())))
        }
        _ => None,
    });
    bases.chain(manifests).collect()
}
