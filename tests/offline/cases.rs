//! Small repositories, each with a thing that real ones have and that was once taken for something else.
//! `tests/fixtures/cases/` has one folder for each.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::common::{self, bootstrapper, root};

use std::path::PathBuf;

use bootstrapper::gitops::{Declared, ProblemKind, Repository, SecretValues};
use bootstrapper::object::ObjectRef;
use bootstrapper::pipeline::Config;
use bootstrapper::tools::{Environment, Kustomize};
use predicates::prelude::*;
use predicates::str::contains;
use serde_json::json;

fn folder(case: &str) -> PathBuf {
    root().join("tests/fixtures/cases").join(case)
}

fn opened(case: &str) -> Repository {
    Repository::open_with(&folder(case), &Config::load(&folder(case)).unwrap().entries()).unwrap()
}

fn load(case: &str, cluster: &str) -> Declared {
    let environment = Environment { path: vec![common::programs().to_owned()], ..Environment::default() };
    let kustomize = Kustomize::find(&environment).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let secrets = SecretValues::new();
    runtime.block_on(opened(case).load(cluster, &kustomize, &secrets)).unwrap()
}

/// Kustomizations, and the names of all that they bring, as `Kind/name`.
fn brought(declared: &Declared) -> Vec<(String, Vec<String>)> {
    assert!(declared.problems.is_empty(), "{:#?}", declared.problems);
    let name = |id: &ObjectRef| format!("{}/{}", id.kind, id.name);
    let all = |one: &bootstrapper::gitops::Kustomization| {
        one.objects.iter().map(|object| name(&ObjectRef::of(object))).collect()
    };
    declared.kustomizations.iter().map(|one| (one.id.name.clone(), all(one))).collect()
}

fn expected(all: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    all.iter().map(|(name, objects)| ((*name).to_owned(), names(objects))).collect()
}

fn validate(case: &str) -> assert_cmd::assert::Assert {
    bootstrapper().arg("validate").arg("--repo").arg(folder(case)).assert()
}

const LAKE: &[(&str, &[&str])] =
    &[("flux-system", &["Kustomization/boats"]), ("boats", &["Namespace/boats"])];

#[test]
fn a_plain_instance_is_valid() {
    assert_eq!(brought(&load("plain", "lake")), expected(LAKE));
    validate("plain").success().stdout(contains("lake: valid"));
}

#[test]
fn what_flux_bootstrap_has_not_written_yet_is_known() {
    let declared = load("bootstrap-pending", "pond");
    assert_eq!(
        brought(&declared),
        expected(&[("flux-system", &["Kustomization/apps"]), ("apps", &["Namespace/fish"])])
    );
    assert_eq!(declared.sync.data["spec"]["path"], "./clusters/pond");
    validate("bootstrap-pending").success().stdout(contains("pond: valid"));
}

#[test]
fn a_copy_without_git_is_a_repository() {
    let copy = tempfile::tempdir().unwrap();
    common::copy_folder(&folder("bootstrap-pending"), copy.path());
    bootstrapper().arg("list").current_dir(copy.path()).assert().success().stdout(contains("pond"));
}

#[test]
fn a_vendors_source_is_no_root() {
    let declared = load("vendor-source", "lake");
    let names: Vec<String> = declared.kustomizations.iter().map(|one| one.id.name.clone()).collect();
    assert_eq!(names, ["flux-system", "boats", "sails"]);
    assert!(!declared.kustomization("sails").unwrap().is_here);
    assert_eq!(declared.source.data["spec"]["url"], "https://git.invalid/lake.git");
    validate("vendor-source").success();
}

#[test]
fn paths_count_from_the_folder_of_an_artifact() {
    let declared = load("artifact-root", "dock");
    assert_eq!(
        brought(&declared),
        expected(&[("flux-system", &["Kustomization/apps"]), ("apps", &["Namespace/fish"])])
    );
    assert_eq!(declared.source.types.as_ref().unwrap().kind, "OCIRepository");
    assert_eq!(declared.kustomization("apps").unwrap().path, PathBuf::from("manifests/apps"));
    validate("artifact-root").success();
}

#[test]
fn a_bucket_is_a_root() {
    assert_eq!(opened("bucket-root").clusters, ["reef"]);
    let declared = load("bucket-root", "reef");
    assert_eq!(declared.source.data["spec"]["endpoint"], "s3.example.org");
    assert_eq!(declared.kustomization("apps").unwrap().objects.len(), 1);
    validate("bucket-root").success();
}

#[test]
fn there_may_be_several_roots_and_folders_of_them() {
    assert_eq!(opened("several-roots").clusters, ["inland", "north", "south"]);
    assert_eq!(
        brought(&load("several-roots", "north")),
        expected(&[
            ("flux-system", &["FluxInstance/flux", "Kustomization/boats"]),
            ("boats", &["Namespace/boats"]),
        ])
    );
    validate("several-roots").success();
}

#[test]
fn an_instance_may_lie_anywhere() {
    assert_eq!(opened("declared-elsewhere").clusters, ["cove"]);
    let declared = load("declared-elsewhere", "cove");
    assert_eq!(
        brought(&declared),
        expected(&[("flux-system", &["Kustomization/apps"]), ("apps", &["Namespace/web"])])
    );
    assert_eq!(opened("vendor-beside-instance").clusters, ["lake"]);
    assert_eq!(brought(&load("vendor-beside-instance", "lake")), expected(LAKE));
}

#[test]
fn artifacts_are_copied_as_flux_does() {
    let declared = load("artifact-copies", "lake");
    assert_eq!(declared.kustomization("vaults").unwrap().objects.len(), 1);
    let harbour = declared.kustomization("harbour").unwrap();
    let mut names: Vec<String> = harbour.objects.iter().map(|one| ObjectRef::of(one).name).collect();
    names.sort();
    assert_eq!(names, ["harbour", "harbour", "pier"]);
    let settings = harbour.objects.iter().find(|one| one.data["data"]["depth"] == "3").unwrap();
    assert_eq!(settings.data["data"], json!({"depth": "3", "lights": "on"}));
    // What is copied is written where it was.
    let pier = ObjectRef::namespaced("v1", "ConfigMap", "harbour", "pier");
    assert_eq!(declared.place(&pier, "").unwrap().file, PathBuf::from("site/harbour/lake/pier.yaml"));
    validate("artifact-copies").success().stdout(contains("missing-secret-store").not());
}

#[test]
fn patches_of_an_instance_change_its_root() {
    let declared = load("instance-patches", "lake");
    assert_eq!(declared.sync.data["spec"]["postBuild"]["substitute"]["SITE"], "lake");
    assert_eq!(declared.sync.data["spec"]["retryInterval"], "2m");
    assert_eq!(declared.source.data["spec"]["ignore"], "/site/drafts");
    let names: Vec<String> = declared.objects().map(|one| ObjectRef::of(one).name).collect();
    assert!(names.contains(&"lake-shore".to_owned()), "{names:?}");
    validate("instance-patches").success();
}

#[test]
fn a_resource_set_provides_its_objects() {
    let declared = load("resource-set", "lake");
    let boats = &brought(&declared)[1].1;
    assert_eq!(
        boats,
        &[
            "Namespace/boats",
            "ResourceSet/rudder",
            "OCIRepository/rudder",
            "HelmRelease/rudder",
            "ServiceAccount/north",
            "ServiceAccount/south"
        ]
    );
    let release = declared.release("rudder").unwrap();
    assert_eq!(release.chart.to_string(), "oci://registry.invalid/charts/rudder 2.4.0");
    assert_eq!(release.values, json!({"crews": ["north", "south"]}));
    let place = declared.place(&release.id, "spec.chartRef.name").unwrap();
    assert_eq!(place.to_string(), "site/boats/set.yaml:30:17");
    // The operator applies them, and not the bootstrap.
    let applied = declared.kustomization("boats").unwrap().applicable().unwrap();
    assert_eq!(applied.len(), 2);
    validate("resource-set").success();
}

#[test]
fn the_operators_kinds_have_events() {
    validate("operator-events").success().stdout(contains("invalid-value").not());
}

#[test]
fn binary_data_is_valid() {
    let declared = load("binary-data", "lake");
    let flags = declared.objects().find(|one| ObjectRef::of(one).name == "flags").unwrap();
    assert!(flags.data["binaryData"]["flag.bin"].as_str().unwrap().contains('\n'));
    validate("binary-data").success().stdout(contains("invalid-value").not());
}

#[test]
fn what_a_chart_may_make_is_no_error() {
    let told = contains("info  missing-issuer").and(contains("whose values name it"));
    validate("issuer-of-a-chart").success().stdout(told);
}

#[test]
fn a_setting_may_be_a_list_of_ranges() {
    validate("list-of-ranges").success().stdout(contains("invalid-range").not());
}

#[test]
fn what_flux_leaves_out_is_not_read() {
    assert_eq!(brought(&load("left-out", "lake")), expected(LAKE));
    validate("left-out").success();
    let declared = load("left-out-by-default", "cluster");
    let mut kinds: Vec<String> = declared.objects().map(|one| ObjectRef::of(one).kind).collect();
    kinds.sort();
    assert_eq!(kinds, ["FluxInstance", "Namespace", "Namespace"]);
    validate("left-out-by-default").success();
}

#[test]
fn an_older_flux_takes_an_undefined_variable_for_empty() {
    let declared = load("older-flux", "lake");
    assert!(!declared.flux.strict_substitution);
    let boats = declared.objects().find(|one| ObjectRef::of(one).kind == "Namespace").unwrap();
    assert_eq!(boats.metadata.annotations.as_ref().unwrap()["note"], "lake");
    validate("older-flux").success().stdout(contains("undefined-variable").not());

    let copy = tempfile::tempdir().unwrap();
    common::copy_folder(&folder("older-flux"), copy.path());
    common::edit(&copy, "site/flux/instance.yaml", "version: 2.8.x", "version: 2.x");
    let newer = bootstrapper().arg("validate").arg("--repo").arg(copy.path()).assert();
    newer.code(3).stdout(contains("error  undefined-variable"));
}

#[test]
fn what_cannot_be_rendered_is_named() {
    let copy = tempfile::tempdir().unwrap();
    common::copy_folder(&folder("resource-set"), copy.path());
    let run = || bootstrapper().arg("validate").arg("--repo").arg(copy.path()).assert();
    common::edit(
        &copy,
        "site/boats/set.yaml",
        "inputs.version | quote",
        "regexFind \"[0-9.]+\" inputs.version",
    );
    run().success().stdout(contains("info  not-evaluated").and(contains("info  missing-chart-source")));
    common::edit(&copy, "site/boats/set.yaml", "regexFind \"[0-9.]+\" inputs.version", "inputs.release");
    run().code(3).stdout(contains("unbuildable-resource-set").and(contains("site/boats/set.yaml:")));
}

#[test]
fn an_artifact_without_a_generator_is_reported() {
    let copy = tempfile::tempdir().unwrap();
    common::copy_folder(&folder("artifact-copies"), copy.path());
    common::edit(&copy, "site/lake/generator.yaml", "@all/site/vaults/", "@all/site/vault/");
    let environment = Environment { path: vec![common::programs().to_owned()], ..Environment::default() };
    let kustomize = Kustomize::find(&environment).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let repository = Repository::open(copy.path()).unwrap();
    let declared = runtime.block_on(repository.load("lake", &kustomize, &SecretValues::new())).unwrap();
    let kinds: Vec<ProblemKind> = declared.problems.iter().map(|problem| problem.kind).collect();
    assert_eq!(kinds, [ProblemKind::MissingPath], "{:#?}", declared.problems);
}
