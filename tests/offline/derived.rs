//! The pipeline that is derived from what a cluster declares: for each way of declaring it, which steps there are.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::common;

use std::path::Path;

use predicates::prelude::*;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

const INPUT: i32 = 3;

/// A repository of these files, for the cluster `home`, whose root builds `clusters/home`.
fn repository(files: &[(&str, String)]) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    let sync = ("clusters/home/flux-system/gotk-sync.yaml", common::sync("./clusters/home"));
    for (path, text) in files.iter().chain([&sync]) {
        let path = copy.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    copy
}

fn tasks(repository: &Path, arguments: &[&str]) -> String {
    let output =
        common::bootstrapper().arg("tasks").args(arguments).arg("--repo").arg(repository).assert().success();
    String::from_utf8(output.get_output().stdout.clone()).unwrap()
}

/// What the steps between `prerequisites` and `sync` do, one line each.
fn steps(files: &[(&str, String)]) -> Vec<String> {
    let text = tasks(repository(files).path(), &[]);
    let steps = text.lines().filter_map(|line| line.strip_prefix("      - "));
    let steps = steps.skip_while(|step| *step != "secrets: declared").skip(1);
    let before_flux = |step: &&str| !matches!(*step, "source: declared" | "handover: declared");
    steps.take_while(before_flux).filter(|step| *step != "adoption: forecast").map(str::to_owned).collect()
}

fn release(name: &str, chart: &str, values: &str) -> String {
    release_in("kube-system", name, chart, values)
}

fn release_in(namespace: &str, name: &str, chart: &str, values: &str) -> String {
    format!(
        "apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{interval: 1h, url: oci://charts.example.org/{chart}, ref: {{tag: 1.2.3}}}}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{interval: 1h, chartRef: {{kind: OCIRepository, name: {name}}}, values: {values}}}
"
    )
}

fn kustomization(name: &str, rest: &str) -> String {
    format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: {name}, namespace: flux-system}}
spec: {{interval: 1h, path: ./{name}, prune: true, sourceRef: {{kind: GitRepository, name: flux-system}}{rest}}}
"
    )
}

const NETWORK: &str = "clusters/home/network.yaml";
const DNS: &str = "clusters/home/dns.yaml";
const FLUX: &str = "clusters/home/flux.yaml";

/// `gotk-components.yaml`, shortened.
const COMPONENTS: &str = "apiVersion: v1
kind: Namespace
metadata: {name: flux-system, labels: {app.kubernetes.io/part-of: flux}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: source-controller, namespace: flux-system, labels: {app.kubernetes.io/part-of: flux}}
spec: {selector: {matchLabels: {app: source-controller}}, template: {metadata: {labels: {app: source-controller}}, spec: {containers: []}}}
";

const INSTANCE: &str = "apiVersion: fluxcd.controlplane.io/v1
kind: FluxInstance
metadata: {name: flux, namespace: flux-system}
spec: {distribution: {version: 2.x, registry: ghcr.io/fluxcd}}
";

const COMPONENTS_STEP: &str = "part: {of: flux-system, labels: {\"app.kubernetes.io/part-of\": flux}}";
const CONTROLLERS: &str = "wait: {probe: flux.controllers}";

fn components() -> (&'static str, String) {
    ("clusters/home/flux-system/gotk-components.yaml", COMPONENTS.to_owned())
}

#[test]
fn a_cluster_with_its_own_network_gets_flux_alone() {
    assert_eq!(steps(&[components()]), [COMPONENTS_STEP, CONTROLLERS]);
    let flux2 = (FLUX, release_in("flux-system", "anything", "flux2", "{}"));
    assert_eq!(steps(&[flux2]), ["release: anything", CONTROLLERS]);
}

#[test]
fn flux_is_installed_in_the_way_that_is_declared() {
    let operator = release_in("flux-system", "fop", "flux-operator", "{}");
    let instance_chart =
        format!("---\n{}", release_in("flux-system", "fin", "flux-instance", "{instance: {}}"));
    let by_charts = (FLUX, format!("{operator}{instance_chart}"));
    assert_eq!(steps(&[by_charts]), ["release: fop", "release: fin", CONTROLLERS]);

    let object = "part: {of: flux-system, kinds: [FluxInstance], names: [flux]}";
    let by_object = (FLUX, format!("{operator}---\n{INSTANCE}"));
    assert_eq!(steps(&[by_object]), ["release: fop", object, CONTROLLERS]);

    let plain = "apiVersion: apps/v1
kind: Deployment
metadata: {name: flux-operator, namespace: flux-system, labels: {app.kubernetes.io/name: flux-operator}}
spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: []}}}
";
    let by_objects = (FLUX, format!("{plain}---\n{INSTANCE}"));
    let operator_step = "part: {of: flux-system, labels: {\"app.kubernetes.io/name\": flux-operator}}";
    assert_eq!(steps(&[by_objects]), [operator_step, object, CONTROLLERS]);
}

/// A Kustomization that draws variables from a ConfigMap which it brings itself would wait for it forever; from
/// what another one brings, it waits for that one.
#[test]
fn variables_that_nothing_could_bring_come_first() {
    let draws = ", postBuild: {substituteFrom: [{kind: ConfigMap, name: info}]}";
    let info = "apiVersion: v1
kind: ConfigMap
metadata: {name: info, namespace: flux-system}
data: {A: b}
"
    .to_owned();
    let apps = ("clusters/home/apps.yaml", kustomization("apps", draws));
    let own = steps(&[components(), apps.clone(), ("apps/info.yaml", info.clone())]);
    let seed = "part: {of: apps, kinds: [Secret, ConfigMap], namespaces: [flux-system], names: [info]}";
    assert_eq!(own, [seed, COMPONENTS_STEP, CONTROLLERS]);
    let app = ("apps/app.yaml", info.replace("info", "app"));
    let of_another = steps(&[components(), apps, app, ("clusters/home/info.yaml", info)]);
    assert_eq!(of_another, [COMPONENTS_STEP, CONTROLLERS]);
}

/// Where nothing installs it, somebody has to say which version.
#[test]
fn flux_that_nothing_installs_is_installed_at_the_declared_version() {
    let copy = repository(&[]);
    let offline = || {
        let mut command = common::bootstrapper();
        command.args(["plan", "home", "--offline", "--repo"]).arg(copy.path());
        command
    };
    let url = |version: &str| format!("fluxcd/flux2/releases/download/v{version}/install.yaml");
    let lacking = contains("FLUX_VERSION")
        .and(contains("set `flux: {version: …}` of the cluster in bootstrapper.yaml"));
    offline().assert().success().stdout(contains(url("${FLUX_VERSION}"))).stderr(lacking);
    std::fs::write(copy.path().join("bootstrapper.yaml"), "clusters: {home: {flux: {version: 2.7.5}}}\n")
        .unwrap();
    offline().assert().success().stdout(contains(url("2.7.5"))).stderr("");
}

/// A FluxInstance with a sync makes source and root Kustomization: the bootstrap waits for them.
#[test]
fn what_the_operator_makes_is_awaited_and_not_applied() {
    let copy = tempfile::tempdir().unwrap();
    let operator = release_in("flux-system", "flux-operator", "flux-operator", "{}");
    let instance = format!(
        "{}  sync: {{kind: GitRepository, url: https://git.invalid/home, ref: refs/heads/main, path: deploy}}\n",
        INSTANCE.replace(
            "spec: {distribution: {version: 2.x, registry: ghcr.io/fluxcd}}",
            "spec:\n  distribution: {version: 2.x, registry: ghcr.io/fluxcd}"
        )
    );
    std::fs::create_dir_all(copy.path().join("deploy")).unwrap();
    std::fs::write(copy.path().join("deploy/operator.yaml"), operator).unwrap();
    std::fs::write(copy.path().join("deploy/instance.yaml"), instance).unwrap();
    let text = tasks(copy.path(), &[]);
    let expected = [
        "release: flux-operator",
        "adoption: forecast",
        "part: {of: flux-system, kinds: [FluxInstance], names: [flux]}",
        CONTROLLERS,
        "wait: {object: {apiVersion: source.toolkit.fluxcd.io/v1, kind: GitRepository, namespace: flux-system, name: flux-system}}",
        "handover: declared",
    ];
    let mut rest = text.as_str();
    for step in expected {
        let (_, after) =
            rest.split_once(&format!("      - {step}\n")).unwrap_or_else(|| panic!("{step} in {text}"));
        rest = after;
    }
    assert!(!text.contains("sync: declared"), "{text}");
}

#[test]
fn only_what_is_on_is_waited_for() {
    let cilium = |values: &str| steps(&[(NETWORK, release("net", "cilium", values)), components()]);
    let plain = [
        "release: net",
        "wait: {probe: cilium.agents}",
        "wait: {probe: nodes}",
        COMPONENTS_STEP,
        CONTROLLERS,
    ];
    assert_eq!(cilium("{}"), plain);
    assert_eq!(cilium("{bgpControlPlane: {enabled: true}}"), plain, "BGP is on, and no session is declared");
    let gateway = ["repair: cilium.gateway", "wait: {probe: cilium.gateway}"];
    assert_eq!(cilium("{gatewayAPI: {enabled: true}}")[3..5], gateway);
    let mesh = "{clustermesh: {useAPIServer: true, apiserver: {service: {type: NodePort}}}}";
    assert_eq!(cilium(mesh)[3], "wait: {probe: cilium.clustermesh}");
    let by_manager = "{clustermesh: {useAPIServer: true, apiserver: {tls: {auto: {method: certmanager}}}}}";
    assert_eq!(cilium(by_manager), plain, "its certificates come with Flux");

    let bgp = "apiVersion: cilium.io/v2
kind: CiliumBGPClusterConfig
metadata: {name: bgp}
spec: {bgpInstances: []}
";
    let of_bgp = steps(&[
        (NETWORK, release("net", "cilium", "{bgpControlPlane: {enabled: true}}")),
        ("clusters/home/parts.yaml", kustomization("bgp", "")),
        ("bgp/bgp.yaml", bgp.to_owned()),
        components(),
    ]);
    assert_eq!(of_bgp[3..5], ["kustomization: bgp", "wait: {probe: cilium.bgp}"]);
}

/// Somebody's own chart around Cilium, whose values lie under the name of the dependency.
#[test]
fn a_chart_around_cilium_is_the_network_plugin() {
    let network = |values: &str| steps(&[(NETWORK, release("net", "our-network", values)), components()]);
    let around = network("{cilium: {kubeProxyReplacement: true, gatewayAPI: {enabled: true}}, own: {}}");
    let expected = [
        "release: net",
        "wait: {probe: cilium.agents}",
        "wait: {probe: nodes}",
        "repair: cilium.gateway",
        "wait: {probe: cilium.gateway}",
        COMPONENTS_STEP,
        CONTROLLERS,
    ];
    assert_eq!(around, expected);
    for other in [
        "{cilium: {enabled: true}}",
        "{cilium: true}",
        "{cilium: {enabled: false, ipam: {mode: kubernetes}}}",
    ] {
        assert_eq!(network(other), [COMPONENTS_STEP, CONTROLLERS], "{other}: it only knows about Cilium");
    }
    let both =
        release("other", "our-network", "{cilium: {ipam: {}}}") + "---\n" + &release("net", "cilium", "{}");
    assert_eq!(steps(&[(NETWORK, both), components()])[0], "release: net", "Cilium's own chart comes first");
}

#[test]
fn a_network_plugin_is_one_by_what_it_does() {
    let flannel = "apiVersion: apps/v1
kind: DaemonSet
metadata: {name: any, namespace: kube-flannel}
spec:
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec:
      hostNetwork: true
      containers: []
      volumes: [{name: cni, hostPath: {path: /etc/cni/net.d}}]
";
    let parts = ("clusters/home/parts.yaml", kustomization("flannel", ""));
    let of = |name: &str| {
        steps(&[
            parts.clone(),
            ("flannel/set.yaml", flannel.replace("name: any", &format!("name: {name}"))),
            components(),
        ])
    };
    assert_eq!(of("kube-flannel-ds")[..2], ["kustomization: flannel", "wait: {probe: nodes}"]);
    for helper in ["kube-multus-ds", "linkerd-cni"] {
        assert_eq!(of(helper), [COMPONENTS_STEP, CONTROLLERS], "it only calls others");
    }
    // Beside what Flux applies: nothing of that comes before Flux.
    let beside = [
        ("clusters/home/set.yaml", flannel.to_owned()),
        (NETWORK, release("podinfo", "podinfo", "{}")),
        components(),
    ];
    assert!(
        steps(&beside)[0].starts_with("part: {of: flux-system, kinds: [DaemonSet, Deployment, Namespace]}"),
        "{:?}",
        steps(&beside)
    );
    let calico = steps(&[(NETWORK, release("calico", "tigera-operator", "{}")), components()]);
    assert_eq!(calico[..2], ["release: calico", "wait: {probe: nodes}"]);
    let suspended = release("net", "cilium", "{}")
        .replace("spec: {interval: 1h, chartRef", "spec: {suspend: true, interval: 1h, chartRef");
    assert_eq!(steps(&[(NETWORK, suspended), components()]), [COMPONENTS_STEP, CONTROLLERS]);
}

#[test]
fn only_crds_that_have_to_be_there_first_are_installed() {
    let dns = |values: &str| (DNS, release("coredns", "coredns", values));
    let monitoring = ("clusters/home/mon.yaml", release_in("mon", "stack", "kube-prometheus-stack", "{}"));
    let quiet = steps(&[dns("{}"), monitoring.clone(), components()]);
    assert_eq!(quiet, ["release: coredns", COMPONENTS_STEP, CONTROLLERS]);
    let watched = steps(&[dns("{prometheus: {monitor: {enabled: true}}}"), monitoring, components()]);
    assert_eq!(watched[..2], ["crds: {releases: [stack]}", "release: coredns"]);

    // Flux would refuse the whole Kustomization, the release too.
    let issuer = "---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata: {name: own}
spec: {selfSigned: {}}
";
    let certificates = release_in("cm", "certs", "cert-manager", "{crds: {enabled: true}}") + issuer;
    assert_eq!(
        steps(&[("clusters/home/cm.yaml", certificates), components()])[0],
        "crds: {releases: [certs]}"
    );
}

#[test]
fn what_the_chain_names_is_there_before_it() {
    let seeds = |name: &str, values: &str| {
        let secret = format!(
            "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: kube-system}}\nstringData: {{ca.crt: x}}\n"
        );
        let steps = steps(&[(NETWORK, release("net", "cilium", values) + &secret), components()]);
        steps[0].starts_with("part: {of: flux-system, kinds: [Secret, ConfigMap], namespaces: [kube-system]")
            && steps[0].ends_with(&format!("names: [{name}]}}"))
    };
    assert!(seeds("keys", "{encryption: {ipsec: {secretName: keys}}}"));
    assert!(seeds("pull", "{imagePullSecrets: [{name: pull}]}"));
    assert!(seeds("cilium-ca", "{}"), "the chart looks for it by name");
    // The same word, which names something else.
    assert!(!seeds("home", "{cluster: {name: home}}"));
    assert!(!seeds("operator", "{operator: {replicas: 1}}"));
}

#[test]
fn releases_with_the_same_name_are_distinguished() {
    let two = release_in("a", "net", "podinfo", "{}") + "---\n" + &release_in("b", "net", "cilium", "{}");
    assert_eq!(steps(&[(NETWORK, two), components()])[0], "release: b/net");
}

/// What `tasks` prints is what would run: as a file of the repository it makes the same pipeline.
#[test]
fn what_is_printed_is_a_task_file() {
    let copy =
        repository(&[(NETWORK, release("net", "cilium", "{gatewayAPI: {enabled: true}}")), components()]);
    let printed = tasks(copy.path(), &["home"]);
    let before = plan(copy.path());
    std::fs::create_dir_all(copy.path().join("tasks")).unwrap();
    std::fs::write(copy.path().join("tasks/bootstrap.yaml"), &printed).unwrap();
    assert_eq!(plan(copy.path()), before);
    // A file of one's own is printed with what each stage needs.
    assert_eq!(plan_of(copy.path(), &tasks(copy.path(), &["home"])), before);
}

#[test]
fn a_repository_adds_stages() {
    let copy = repository(&[(NETWORK, release("net", "cilium", "{}")), components()]);
    let own = "extends: built-in
stages:
  - name: announce
    after: network
    steps: [{command: [\"true\"], why: tell the router}]
";
    std::fs::create_dir_all(copy.path().join("tasks")).unwrap();
    std::fs::write(copy.path().join("tasks/own.yaml"), own).unwrap();
    let stages: Vec<String> =
        plan(copy.path()).iter().map(|step| step.split_once('/').unwrap().0.to_owned()).collect();
    let at = stages.iter().position(|stage| stage == "announce").unwrap();
    assert_eq!((stages[at - 1].as_str(), stages[at + 1].as_str()), ("network", "flux"));
    assert_eq!(plan_of(copy.path(), &tasks(copy.path(), &["home"])), plan(copy.path()));

    // A cluster whose pipeline lacks the stage: its place counts.
    std::fs::write(copy.path().join("tasks/own.yaml"), own.replace("after: network", "before: dns")).unwrap();
    let steps = plan(copy.path());
    let at = steps.iter().position(|step| step.starts_with("announce/")).unwrap();
    assert!(steps[at - 1].starts_with("network/") && steps[at + 1].starts_with("flux/"), "{steps:?}");

    std::fs::write(copy.path().join("tasks/own.yaml"), own.replace("after: network", "after: dnss")).unwrap();
    let asked = ["validate", "--repo"];
    common::bootstrapper().args(asked).arg(copy.path()).assert().code(INPUT).stdout(
        contains("tasks/own.yaml:4:12").and(contains("unknown stage `dnss`")).and(contains("network, flux")),
    );
}

/// The steps that `plan` has without a cluster.
fn plan(repository: &Path) -> Vec<String> {
    let asked = ["plan", "home", "--offline", "--output", "json", "--repo"];
    let output = common::bootstrapper().args(asked).arg(repository).assert().success();
    let answer: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    assert_eq!(answer["compared"], false);
    let steps = answer["steps"].as_array().unwrap();
    assert!(steps.iter().all(|step| step["why"].is_string()), "{answer:#}");
    steps.iter().map(|step| step["step"].as_str().unwrap().to_owned()).collect()
}

/// The same with this task file.
fn plan_of(repository: &Path, text: &str) -> Vec<String> {
    let copy = tempfile::tempdir().unwrap();
    common::copy_folder(repository, copy.path());
    let _ = std::fs::remove_dir_all(copy.path().join("tasks"));
    std::fs::create_dir_all(copy.path().join("tasks")).unwrap();
    std::fs::write(copy.path().join("tasks/bootstrap.yaml"), text).unwrap();
    plan(copy.path())
}

/// Without a kubeconfig there is nothing to compare with.
#[test]
fn a_plan_without_a_cluster_shows_what_is_declared() {
    let copy = repository(&[(NETWORK, release("net", "cilium", "{}")), components()]);
    let plan = || {
        let mut command = common::bootstrapper();
        command
            .args(["plan", "home", "--repo"])
            .arg(copy.path())
            .env("KUBECONFIG", "/nonexistent/kubeconfig");
        command
    };
    let shown = contains("not compared with a cluster")
        .and(contains("why cilium is the network plugin"))
        .and(contains("HelmRelease kube-system/net: chart oci://charts.example.org/cilium 1.2.3"));
    plan().assert().success().stdout(shown).stderr(contains("nothing was compared"));
    // Of a cluster that somebody names it is a failure not to reach it.
    let failed = plan().args(["--kubeconfig", "/nonexistent/kubeconfig"]).assert().code(5);
    failed.stdout(contains("not compared with a cluster"));
}

/// What is wrong with an application is nothing that the bootstrap depends on.
#[test]
fn a_problem_elsewhere_does_not_stop_a_plan() {
    let copy = repository(&[
        (NETWORK, release("net", "cilium", "{}")),
        ("clusters/home/parts.yaml", kustomization("apps", "")),
        (
            "apps/app.yaml",
            release_in("apps", "app", "app", "{}").replace("name: app}, values", "name: none}, values"),
        ),
        components(),
    ]);
    assert!(plan(copy.path()).contains(&"network/release-net".to_owned()));
    let asked = ["validate", "--repo"];
    common::bootstrapper()
        .args(asked)
        .arg(copy.path())
        .assert()
        .code(INPUT)
        .stdout(contains("missing-chart-source"));
}

/// What Flux meets later is listed apart from what stops a run, as in a run.
#[test]
fn an_offline_plan_tells_problems_outside_the_bootstrap_apart() {
    let apps = ("clusters/home/apps.yaml", kustomization("apps", ""));
    let copy = repository(&[apps, (NETWORK, release("net", "cilium", "{}")), components()]);
    let offline = |more: &[&str]| {
        let mut command = common::bootstrapper();
        command.args(["plan", "home", "--offline", "--repo"]).arg(copy.path()).args(more);
        command
    };
    let outside = contains("warning: 1 problem outside the bootstrap").and(contains("apps"));
    offline(&[]).assert().success().stderr(outside.and(contains("error").not()));
    let output = offline(&["--output", "json"]).assert().success();
    let answer: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    let length = |list: &str| answer[list].as_array().unwrap().len();
    assert_eq!((length("problems"), length("outside")), (0, 1), "{answer:#}");
}

/// The same checks as of `validate`.
#[test]
fn an_offline_plan_reports_what_is_not_declared() {
    let copy = repository(&[components()]);
    let own = "extends: built-in
stages: [{name: own, steps: [{release: nowhere}, {objects: missing.yaml}]}]
";
    std::fs::create_dir_all(copy.path().join("tasks")).unwrap();
    std::fs::write(copy.path().join("tasks/own.yaml"), own).unwrap();
    let reported = || {
        contains("home declares no HelmRelease called `nowhere`").and(contains("cannot read missing.yaml"))
    };
    let verb = |verb: &[&str]| {
        let mut command = common::bootstrapper();
        command.args(verb).arg("--repo").arg(copy.path());
        command
    };
    verb(&["plan", "home", "--offline"]).assert().success().stderr(reported());
    verb(&["validate"]).assert().code(INPUT).stdout(reported());
}
