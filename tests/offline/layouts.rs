//! Repositories that are laid out as other people do it: what loading makes of each, to the last
//! object.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::common::{self, fixture, opened};

use std::path::Path;

use bootstrapper::failure::Failure;
use bootstrapper::gitops::{
    CrdPolicy, Declared, HelmAction, Kustomization, ProblemKind, Release, Repository, SecretValue,
    SecretValues, UNKNOWN,
};
use bootstrapper::object::{Object, ObjectRef};
use bootstrapper::pipeline::{self, Scope, Selector, Tasks};
use bootstrapper::tools::{Environment, Kustomize};
use predicates::str::contains;
use serde_json::{Value, json};

fn kustomize() -> Kustomize {
    let environment = Environment { path: vec![common::programs().to_owned()], ..Environment::default() };
    Kustomize::find(&environment).unwrap()
}

fn load_with(name: &str, cluster: &str, secrets: &SecretValues) -> Declared {
    let kustomize = kustomize();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let declared = runtime.block_on(opened(name).load(cluster, &kustomize, secrets)).unwrap();
    assert!(declared.problems.is_empty(), "{:#?}", declared.problems);
    declared
}

fn load(name: &str, cluster: &str) -> Declared {
    load_with(name, cluster, &SecretValues::new())
}

/// Every Kustomization, with the number of its objects.
fn counts(declared: &Declared) -> Vec<(&str, usize)> {
    declared.kustomizations.iter().map(|one| (one.id.name.as_str(), one.objects.len())).collect()
}

/// Every release, with its chart.
fn charts(declared: &Declared) -> Vec<(String, String)> {
    declared.releases.iter().map(|one| (one.id.name.clone(), one.chart.to_string())).collect()
}

fn release<'a>(declared: &'a Declared, name: &str) -> &'a Release {
    declared.release(name).unwrap()
}

fn kustomization<'a>(declared: &'a Declared, name: &str) -> &'a Kustomization {
    declared.kustomization(name).unwrap()
}

fn place(declared: &Declared, id: &ObjectRef, field: &str) -> String {
    declared.place(id, field).unwrap().to_string()
}

fn field<'a>(declared: &'a Declared, kind: &str, pointer: &str) -> &'a Value {
    let object = declared.objects().find(|object| object.types.as_ref().unwrap().kind == kind).unwrap();
    object.data.pointer(pointer).unwrap()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, chart)| ((*name).to_owned(), (*chart).to_owned())).collect()
}

/// One cluster, `ks.yaml` beside each app, what they share patched in from the root, SOPS.
#[test]
fn a_home_with_a_folder_for_each_app() {
    assert_eq!(opened("home").clusters, ["cluster"]);
    let declared = load("home", "cluster");
    assert_eq!(
        counts(&declared),
        [
            ("flux-system", 1),
            ("cluster-apps", 14),
            ("echo", 5),
            ("flux-instance", 2),
            ("flux-operator", 2),
            ("cilium", 3),
            ("cilium-config", 1),
        ]
    );
    assert_eq!(
        charts(&declared),
        pairs(&[
            ("echo", "oci://charts.example.org/app 4.4.0"),
            ("flux-instance", "oci://charts.example.org/flux-instance 0.33.0"),
            ("flux-operator", "oci://charts.example.org/flux-operator 0.33.0"),
            ("cilium", "oci://charts.example.org/cilium 1.18.4"),
        ])
    );
    assert_eq!(declared.source.data["spec"]["url"], "https://git.example.org/home.git");

    let cilium = release(&declared, "cilium");
    assert_eq!(
        cilium.values,
        json!({"cluster": {"name": "home", "id": 1}, "ipv4NativeRoutingCIDR": "10.69.0.0/16", "operator": {"replicas": 2}})
    );
    assert_eq!(cilium.object.data["spec"]["upgrade"]["strategy"]["name"], "RetryOnFailure");
    assert!(cilium.installable().is_ok());
    assert!(cilium.values_from[0].id.name.starts_with("cilium-values-"));
    let labels = cilium.object.metadata.labels.as_ref().unwrap();
    assert_eq!(labels["app.kubernetes.io/name"], "cilium");

    // What is encrypted is known by its name, and not installed by the bootstrap.
    let echo = release(&declared, "echo");
    assert_eq!(
        echo.values,
        json!({"env": {"TZ": "Europe/Berlin", "NOT_OURS": "${HOSTNAME}"}, "host": format!("echo.{UNKNOWN}"), "claim": "echo"})
    );
    assert!(!echo.values_from[0].is_known);
    assert!(echo.installable().is_err());
    let kustomization = kustomization(&declared, "echo");
    assert_eq!(kustomization.unknown_variables.iter().collect::<Vec<_>>(), ["SECRET_DOMAIN"]);
    assert_eq!(
        kustomization.used_variables.iter().collect::<Vec<_>>(),
        ["APP", "CAPACITY", "SECRET_DOMAIN", "TIMEZONE"]
    );
    assert_eq!(kustomization.substitute_sources.len(), 3);
    assert_eq!(field(&declared, "PersistentVolumeClaim", "/spec/resources/requests/storage"), "5Gi");

    assert_eq!(
        place(&declared, &cilium.id, "spec.values.operator"),
        "kubernetes/apps/kube-system/cilium/app/helmrelease.yaml:13:5"
    );
    assert_eq!(
        place(&declared, &kustomization.id, "spec.dependsOn[0].name"),
        "kubernetes/apps/default/echo/ks.yaml:11:13"
    );
    assert_eq!(
        place(&declared, &cilium.values_from[0].id, ""),
        "kubernetes/apps/kube-system/cilium/app/kustomization.yaml:7:5"
    );
    assert_eq!(
        place(&declared, &ObjectRef::of(&declared.sync), ""),
        "kubernetes/apps/flux-system/flux-instance/app/release.yaml:11:1"
    );
    let brought = &declared.providers[&ObjectRef::namespaced("v1", "Secret", "default", "echo-values")];
    assert_eq!(brought.as_ref().unwrap().kind, "ExternalSecret");
}

#[test]
fn what_the_bootstrap_seeds_is_substituted() {
    let seeded = |namespace: &str| {
        let data = [("SECRET_DOMAIN".to_owned(), SecretValue::from("home.test"))];
        ((namespace.to_owned(), "cluster-secrets".to_owned()), data.into())
    };
    let declared = load_with("home", "cluster", &SecretValues::from([seeded("default")]));
    assert_eq!(release(&declared, "echo").values["host"], "echo.home.test");
    assert!(kustomization(&declared, "echo").unknown_variables.is_empty());
}

/// `flux bootstrap`, bases and overlays, ranges of versions.
#[test]
fn stages_with_bases_and_overlays() {
    assert_eq!(opened("stages").clusters, ["production", "staging"]);
    for (cluster, version, replicas, host, server) in [
        ("production", "~6.9.0", 3, "www.example.org", "https://acme.example.org/directory"),
        ("staging", ">=6.0.0-0", 1, "staging.example.org", "https://acme-staging.example.org/directory"),
    ] {
        let declared = load("stages", cluster);
        // Staging takes its apps from an artifact that a generator cuts out of the repository.
        let own = if cluster == "staging" { 7 } else { 6 };
        assert_eq!(
            counts(&declared),
            [("flux-system", own), ("apps", 3), ("infra-configs", 1), ("infra-controllers", 6)]
        );
        assert_eq!(kustomization(&declared, "apps").path, Path::new("apps").join(cluster));
        assert_eq!(
            charts(&declared),
            pairs(&[
                ("podinfo", &format!("podinfo {version} of https://charts.example.org/podinfo")),
                ("cert-manager", "cert-manager 1.x of https://charts.example.org/certificates"),
                ("gateway", "oci://charts.example.org/gateways/gateway 1.5.4"),
            ])
        );
        assert_eq!(
            release(&declared, "podinfo").values,
            json!({"cache": true, "hosts": [host], "replicas": replicas})
        );
        assert_eq!(field(&declared, "ClusterIssuer", "/spec/acme/server"), server);
        let sync = ObjectRef::of(&declared.sync);
        assert_eq!(
            place(&declared, &sync, "spec.path"),
            format!("clusters/{cluster}/flux-system/gotk-sync.yaml:21:9")
        );
        assert_eq!(
            place(&declared, &release(&declared, "podinfo").id, "spec.chart"),
            "apps/base/podinfo/release.yaml:8:3"
        );
    }
}

/// What Helm is asked for is what helm-controller would do, in whatever layout it is written.
#[test]
fn releases_are_requested_as_flux_would() {
    let production = load("stages", "production");
    let podinfo = release(&production, "podinfo");
    let upgrade = podinfo.helm_request(HelmAction::Upgrade);
    assert_eq!(upgrade.flags, ["--no-hooks", "--take-ownership", "--history-max=5"]);
    let [images, marks] = upgrade.post_rendering.kustomizations.try_into().unwrap();
    assert_eq!(images["images"][0]["newName"], "mirror.example.org/podinfo");
    assert!(marks["transformers"][0].as_str().unwrap().contains("\"stage\":\"production\""));
    assert_eq!(podinfo.crds(HelmAction::Install), CrdPolicy::Create);
    assert_eq!(podinfo.crds(HelmAction::Upgrade), CrdPolicy::CreateReplace);
    assert!(podinfo.chart.is_met_by("6.9.4") && !podinfo.chart.is_met_by("6.10.0"));
    let staging = load("stages", "staging");
    let podinfo = release(&staging, "podinfo");
    assert_eq!(podinfo.helm_request(HelmAction::Upgrade).post_rendering.kustomizations.len(), 1);
    assert!(podinfo.chart.is_met_by("6.10.0-rc.1"));

    let east = load("monorepo", "east");
    let install = release(&east, "metrics").helm_request(HelmAction::Install);
    assert!(install.skip_crds);
    assert_eq!(install.flags, ["--timeout=15m", "--history-max=5"]);
    // What `targetPath` set is text; no number of the values is an integer to the chart.
    assert_eq!(install.integers, Vec::<String>::new());
}

/// Several sources, one of them elsewhere; Kustomizations that bring Kustomizations, under names
/// that variables make; a FluxInstance, components, charts from wherever.
#[test]
fn a_monorepo_of_several_teams() {
    assert_eq!(opened("monorepo").clusters, ["east"]);
    let declared = load("monorepo", "east");
    assert_eq!(
        counts(&declared),
        [
            ("flux-system", 7),
            ("settings", 1),
            ("shop", 0),
            ("team-shop", 2),
            ("platform", 2),
            ("ingress", 1),
            ("monitoring-east", 6),
        ]
    );
    assert_eq!(
        charts(&declared),
        pairs(&[
            ("ingress", "charts/ingress * of GitRepository flux-system/monorepo"),
            ("metrics", "metrics 2.4.0 of https://charts.example.org"),
        ])
    );
    let metrics = release(&declared, "metrics");
    assert_eq!(
        metrics.values,
        json!({"retention": "14d", "global": {"region": "east", "zones": "a-b"}, "replicas": 3})
    );
    assert_eq!(metrics.source.kind, "HelmRepository");
    assert!(!release(&declared, "ingress").is_fetchable());

    let team = kustomization(&declared, "team-shop");
    let names: Vec<String> = team.objects.iter().map(|object| ObjectRef::of(object).to_string()).collect();
    assert_eq!(names, ["ResourceQuota shop/shop-quota-east", "ServiceAccount shop/shop-deployer-east"]);
    assert_eq!(
        place(&declared, &ObjectRef::of(&team.objects[1]), "metadata.labels.team"),
        "teams/base/account.yaml:6:11"
    );

    assert!(!kustomization(&declared, "shop").is_here);
    let monitoring = kustomization(&declared, "monitoring-east");
    assert_eq!(monitoring.path, Path::new("platform/monitoring/overlays/east"));
    assert_eq!(monitoring.parent.as_ref().unwrap().name, "platform");
    assert_eq!(place(&declared, &monitoring.id, "spec.path"), "platform/monitoring.yaml:9:9");
    assert_eq!(declared.sync.data["spec"]["path"], "./deploy/east");
}

/// A run refuses problems of what it depends on, with the first of them and how many more there are; what is
/// wrong elsewhere is no reason to stop.
#[test]
fn problems_of_what_a_run_depends_on_stop_it() {
    let copy = tempfile::tempdir().unwrap();
    common::copy_folder(&fixture("stages"), copy.path());
    common::edit(
        &copy,
        "clusters/staging/infrastructure.yaml",
        "path: ./infrastructure/configs",
        "path: ./infrastructure/config",
    );
    common::edit(&copy, "apps/base/podinfo/repository.yaml", "name: podinfo", "name: other");
    common::edit(
        &copy,
        "clusters/staging/flux-system/gotk-components.yaml",
        "name: flux-system",
        "name: ${NAME}",
    );
    common::edit(
        &copy,
        "infrastructure/controllers/gateway.yaml",
        "    - name: cert-manager",
        "    - name: manager",
    );
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let repository = Repository::open(copy.path()).unwrap();
    let declared = runtime.block_on(repository.load("staging", &kustomize(), &SecretValues::new())).unwrap();
    let told: Vec<(ProblemKind, String)> = declared
        .problems
        .iter()
        .map(|problem| (problem.kind, problem.failure.location.as_ref().unwrap().to_string()))
        .collect();
    let at = |place: &str| place.to_owned();
    assert_eq!(
        told,
        [
            (ProblemKind::MissingPath, at("clusters/staging/infrastructure.yaml:29:9")),
            (ProblemKind::MissingChartSource, at("apps/base/podinfo/release.yaml:13:15")),
            (ProblemKind::UnknownDependency, at("infrastructure/controllers/gateway.yaml:24:13")),
        ]
    );
    // The root substitutes nothing, so that is a name like any other.
    assert!(declared.namespace("${NAME}").is_some());
    assert!(refusal(&repository, &declared, &Selector::default()).is_none());

    // The release that the bootstrap installs.
    let certificates = "infrastructure/controllers/certificates.yaml";
    common::edit(
        &copy,
        certificates,
        "        name: certificates\n      interval",
        "        name: no-certificates\n      interval",
    );
    let repository = Repository::open(copy.path()).unwrap();
    let declared = runtime.block_on(repository.load("staging", &kustomize(), &SecretValues::new())).unwrap();
    let refused = refusal(&repository, &declared, &Selector::default()).unwrap();
    assert!(refused.what.contains("certificates/no-certificates of its chart not found"), "{}", refused.what);
    let until_core = Selector { until: Some("core".to_owned()), ..Selector::default() };
    assert!(refusal(&repository, &declared, &until_core).is_some());
    let sync_only = Selector { only: vec!["sync".to_owned()], ..Selector::default() };
    assert!(refusal(&repository, &declared, &sync_only).is_none());
}

/// Why a run of these steps would refuse what a cluster declares.
fn refusal(repository: &Repository, declared: &Declared, selector: &Selector) -> Option<Failure> {
    let pipeline = Tasks::of_repository(&repository.root)
        .unwrap()
        .pipeline(declared, &pipeline::Config::default())
        .unwrap();
    let selected = pipeline::select(&pipeline, selector).unwrap();
    declared.require_valid(&Scope::of(&pipeline, &selected, declared, &repository.root)).err()
}

/// The note of where an object comes from changes nothing about the object, and neither does the
/// kustomization that asks for it.
#[test]
fn objects_are_what_kustomize_builds_of_the_folder() {
    let kustomize = kustomize();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let declared = load("stages", "staging");
    for name in ["infra-configs", "infra-controllers", "apps"] {
        let kustomization = kustomization(&declared, name);
        let built = runtime.block_on(kustomize.build(&fixture("stages").join(&kustomization.path))).unwrap();
        let mut objects: Vec<Object> = bootstrapper::yaml::from_multiple(&built, Path::new("built")).unwrap();
        let mut found = kustomization.objects.clone();
        for objects in [&mut objects, &mut found] {
            objects.sort_by_key(ObjectRef::of);
        }
        assert_eq!(found, objects, "{name}");
        assert!(kustomization.written.iter().all(Option::is_some));
    }
}

#[test]
fn each_is_valid_to_the_program_too() {
    for (name, said) in
        [("home", "cluster: valid"), ("stages", "production, staging: valid"), ("monorepo", "east: valid")]
    {
        // Found upwards, from a folder within.
        let within = std::fs::read_dir(fixture(name))
            .unwrap()
            .find_map(|entry| Some(entry.unwrap().path()).filter(|path| path.is_dir()))
            .unwrap();
        let mut command = common::bootstrapper();
        command.arg("validate");
        if name == "monorepo" {
            command.current_dir(within);
        } else {
            command.arg("--repo").arg(fixture(name));
        }
        command.assert().success().stdout(contains(said));
    }
}
