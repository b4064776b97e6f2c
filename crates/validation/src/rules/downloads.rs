//! Downloads and their verification.

use std::collections::BTreeMap;

use crate::{Finding, Fleet, Rule, Severity};
use bootstrapper_core::failure::Location;
use bootstrapper_gitops::pipeline::{Applies, Manifest, Pipeline};

pub(crate) const RULES: &[Rule] = &[
    Rule {
        name: "unverified-chart",
        severity: Severity::Warning,
        summary: "the bootstrap installs a chart whose signature it cannot verify",
        why: "Flux verifies it only after the hand-over, when it already runs",
        fix: "declare the Secret with the public key under `secrets` in bootstrapper.yaml, pin the chart to a digest (`ref: {digest: …}`), or annotate its source with `bootstrapper/unverified: <reason>`",
        check: unverified_charts,
    },
    Rule {
        name: "unverified-download",
        severity: Severity::Info,
        summary: "a manifest or remote base is downloaded without verification",
        why: "TLS authenticates the server, not the content: a tag or a release file can be replaced",
        fix: "add `sha256:` to the step (`plan` shows it); pin a remote base to a commit (`?ref=` and 40 digits), or fetch it with a GitRepository at a commit",
        check: unverified,
    },
];

fn unverified_charts(rule: &Rule, fleet: &Fleet) -> Vec<Finding> {
    fleet.each(|declared| {
        let steps = fleet.pipelines.get(&declared.cluster).into_iter().flat_map(Pipeline::steps);
        let releases = steps.filter_map(|step| match step.kind.applies() {
            Applies::Release(name) => declared.release(name),
            _ => None,
        });
        let found = releases.filter_map(|release| {
            let finding = Finding::of(rule, format!("{}: {}", release.id, release.unverified()?));
            let finding = finding.in_cluster(&declared.cluster).about(&release.id);
            Some(finding.at(declared.place(&release.id, "spec")))
        });
        found.collect()
    })
}

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
