//! Repositories in the styles that people have: which clusters, Kustomizations and releases are found in
//! each, and that `validate` finds no error. `tests/fixtures/styles/` has one folder for each.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::common::{self, bootstrapper, copy_folder, root};

use bootstrapper::gitops::Repository;
use bootstrapper::pipeline::Config;
use bootstrapper::tools::{Environment, Kustomize};
use predicates::prelude::*;
use predicates::str::contains;

/// A style: its folder, its cluster, and what that declares.
struct Style {
    name: &'static str,
    cluster: &'static str,
    kustomizations: &'static [&'static str],
    releases: &'static [&'static str],
}

const STYLES: [Style; 7] = [
    Style {
        name: "cluster-template",
        cluster: "cluster",
        kustomizations: &[
            "flux-system",
            "cluster-apps",
            "cilium",
            "coredns",
            "flux-instance",
            "flux-operator",
            "victoria-logs",
        ],
        releases: &["cilium", "coredns", "flux-instance", "flux-operator", "victoria-logs"],
    },
    Style {
        name: "home-ops",
        cluster: "cluster",
        kustomizations: &[
            "flux-system",
            "cluster-apps",
            "cilium",
            "coredns",
            "external-secrets",
            "external-secrets-stores",
            "flux-instance",
            "flux-operator",
            "victoria-logs",
        ],
        releases: &[
            "cilium",
            "coredns",
            "external-secrets",
            "flux-instance",
            "flux-operator",
            "victoria-logs",
        ],
    },
    Style {
        name: "flux-bootstrap",
        cluster: "marsh",
        kustomizations: &["flux-system", "apps", "infra-configs", "infra-controllers"],
        releases: &["cilium", "coredns", "victoria-logs"],
    },
    Style {
        name: "d1-fleet",
        cluster: "delta",
        kustomizations: &["flux-system", "apps", "infra"],
        releases: &["cilium", "coredns", "victoria-logs"],
    },
    Style {
        name: "operator-bootstrap",
        cluster: "strait",
        kustomizations: &["flux-system", "apps", "infrastructure"],
        releases: &["cilium", "coredns", "flux-operator", "victoria-logs"],
    },
    Style {
        name: "oci-root",
        cluster: "lagoon",
        kustomizations: &["flux-system", "apps", "network"],
        releases: &["cilium", "coredns", "flux-instance", "flux-operator", "victoria-logs"],
    },
    Style {
        name: "multi-tenancy",
        cluster: "harbour",
        kustomizations: &["flux-system", "pilots", "platform", "tenants"],
        releases: &["cilium", "coredns", "victoria-logs"],
    },
];

#[test]
fn every_style_is_read_to_its_end() {
    let environment = Environment { path: vec![common::programs().to_owned()], ..Environment::default() };
    let kustomize = Kustomize::find(&environment).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for style in &STYLES {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(&root().join("tests/fixtures/styles").join(style.name), copy.path());
        std::process::Command::new("git").args(["init", "-q"]).current_dir(copy.path()).status().unwrap();
        let listed = bootstrapper().arg("list").arg("--repo").arg(copy.path()).assert().success();
        listed.stdout(contains(style.cluster));

        let entries = Config::load(copy.path()).unwrap().entries();
        let repository = Repository::open_with(copy.path(), &entries).unwrap();
        assert_eq!(repository.clusters, [style.cluster], "{}", style.name);
        let declared = runtime
            .block_on(repository.load(style.cluster, &kustomize, &common::seeded(copy.path(), style.cluster)))
            .unwrap();
        assert!(declared.problems.is_empty(), "{}: {:#?}", style.name, declared.problems);
        assert!(declared.notes.is_empty(), "{}: {:#?}", style.name, declared.notes);
        let mut kustomizations: Vec<&str> =
            declared.kustomizations.iter().map(|one| one.id.name.as_str()).collect();
        kustomizations[1..].sort_unstable();
        let mut expected = style.kustomizations.to_vec();
        expected[1..].sort_unstable();
        assert_eq!(kustomizations, expected, "{}", style.name);
        let mut releases: Vec<&str> = declared.releases.iter().map(|one| one.id.name.as_str()).collect();
        releases.sort_unstable();
        assert_eq!(releases, style.releases, "{}", style.name);
    }
}

#[test]
fn no_style_has_an_error() {
    for style in &STYLES {
        let folder = root().join("tests/fixtures/styles").join(style.name);
        let validated = bootstrapper().arg("validate").arg("--repo").arg(folder).assert().success();
        validated.stdout(contains(format!("{}: valid", style.cluster)).and(contains("  error  ").not()));
    }
}
