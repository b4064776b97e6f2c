//! What the layout of `kubernetes/` promises, checked on its files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use crate::common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::root;
use serde_json::{Value, json};

const CLUSTERS: [&str; 2] = ["infra", "apps"];

fn kubernetes() -> PathBuf {
    root().join("kubernetes")
}

/// Every manifest below a folder, as text.
fn manifests(folder: &Path) -> Vec<(PathBuf, String)> {
    let files = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.unwrap().into_path());
    let manifests = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    manifests.map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap())).collect()
}

fn outside_of_clusters() -> Vec<(PathBuf, String)> {
    let clusters = kubernetes().join("clusters");
    manifests(&kubernetes()).into_iter().filter(|(path, _)| !path.starts_with(&clusters)).collect()
}

fn objects(text: &str, file: &Path) -> Vec<Value> {
    bootstrapper::yaml::from_multiple(text, file).unwrap()
}

pub(crate) fn settings(cluster: &str) -> Vec<(String, String)> {
    let file = kubernetes().join("clusters").join(cluster).join("settings.yaml");
    let objects = objects(&std::fs::read_to_string(&file).unwrap(), &file);
    let data = objects[0]["data"].as_object().unwrap();
    data.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

/// `${NAME}` in a text.
fn variables(text: &str) -> impl Iterator<Item = &str> {
    text.split("${").skip(1).filter_map(|rest| rest.split(['}', ':']).next())
}

#[test]
fn every_variable_is_defined_and_every_setting_is_used() {
    let files = outside_of_clusters();
    let used: BTreeSet<&str> = files.iter().flat_map(|(_, text)| variables(text)).collect();
    // From the tenant's own Kustomization; and of components that neither cluster names.
    let elsewhere = BTreeSet::from([
        "BACKUP_DESTINATION",
        "BACKUP_ENDPOINT",
        "BGP_SECOND_ROUTER_ADDRESS",
        "HOSTNAME",
        "POSTGRES_ARCHIVE",
        "POSTGRES_RESTORE_ARCHIVE",
    ]);
    for cluster in CLUSTERS {
        let settings = settings(cluster);
        let defined: BTreeSet<&str> = settings.iter().map(|(name, _)| name.as_str()).collect();
        let wanted: BTreeSet<&str> = used.difference(&elsewhere).copied().collect();
        assert_eq!(defined, wanted, "{cluster}");
        assert!(elsewhere.is_subset(&used));
    }
}

#[test]
fn nothing_outside_of_clusters_knows_a_cluster() {
    for (path, text) in outside_of_clusters() {
        for cluster in CLUSTERS {
            for (name, value) in settings(cluster) {
                let is_own = matches!(name.as_str(), "DOMAIN" | "NODE_CIDR" | "MESH_PEERS")
                    || name.ends_with("_CIDR")
                    || name.ends_with("_ADDRESS")
                    || name.ends_with("_HOST")
                    || name.ends_with("_IP")
                    || name.ends_with("_ASN");
                let is_there = text.split_whitespace().any(|word| word.trim_matches(['"', '\'']) == value);
                assert!(!is_own || !is_there, "{}: {name} of {cluster}", path.display());
            }
            let names_it = |line: &&str| line.split([' ', '-', '"']).any(|word| word == cluster);
            let found = text.lines().filter(|line| !line.trim_start().starts_with('#')).find(names_it);
            assert_eq!(found, None, "{}", path.display());
        }
    }
}

#[test]
fn clusters_differ_in_their_settings_only() {
    // And in what their nodes run, and in their optional components.
    let read = |cluster: &str, file: &str| {
        let text = std::fs::read_to_string(kubernetes().join("clusters").join(cluster).join(file)).unwrap();
        let text = text.replace("  # - ../../optional/", "  - ../../optional/");
        ["talos", "kubeadm", "k3s"].iter().fold(text, |text, name| {
            text.replace(&format!("/distributions/{name}\n"), "/distributions/NAME\n")
        })
    };
    for file in [
        "infrastructure.yaml",
        "kustomization.yaml",
        "flux-system/kustomization.yaml",
        "flux-system/source.yaml",
    ] {
        assert_eq!(read("infra", file), read("apps", file), "{file}");
    }
    // One has observability beside it.
    assert!(read("infra", "workloads.yaml").starts_with(&read("apps", "workloads.yaml")));
}

#[test]
fn every_kustomization_and_release_can_be_waited_for_and_tries_again() {
    for (path, text) in manifests(&kubernetes()) {
        for object in objects(&text, &path) {
            let spec = &object["spec"];
            let told = format!("{}: {}", path.display(), object["metadata"]["name"]);
            match object["kind"].as_str().unwrap_or_default() {
                "Kustomization" if spec["sourceRef"].is_object() => {
                    assert!(spec["timeout"].is_string() && spec["retryInterval"].is_string(), "{told}");
                    let is_root = object["metadata"]["name"] == "flux-system";
                    assert!(is_root || spec["wait"] == true, "{told}");
                }
                "HelmRelease" => {
                    let namespace = &object["metadata"]["namespace"];
                    assert_eq!(&spec["storageNamespace"], namespace, "{told}");
                    for action in ["install", "upgrade"] {
                        assert_eq!(spec[action]["strategy"]["name"], "RetryOnFailure", "{told}");
                    }
                }
                _ => {}
            }
        }
    }
}

#[test]
fn what_a_controller_must_say_is_waited_for() {
    let told = [
        "ClusterIssuer",
        "Certificate",
        "ClusterSecretStore",
        "ExternalSecret",
        "Gateway",
        "Cluster",
        "Dragonfly",
        "GitRepository",
    ];
    let cluster = kubernetes().join("clusters/infra");
    let of_components = components().into_iter().map(|name| optional().join(name).join("sync.yaml"));
    let files = ["infrastructure.yaml", "workloads.yaml"].map(|file| cluster.join(file));
    for path in files.into_iter().chain(of_components.filter(|path| path.exists())) {
        for kustomization in objects(&std::fs::read_to_string(&path).unwrap(), &path) {
            let spec = &kustomization["spec"];
            let folder = root().join(spec["path"].as_str().unwrap());
            let declared: BTreeSet<String> = manifests(&folder)
                .iter()
                .flat_map(|(path, text)| objects(text, path))
                .filter_map(|object| Some(object["kind"].as_str()?.to_owned()))
                .filter(|kind| told.contains(&kind.as_str()))
                .collect();
            let checks = spec["healthCheckExprs"].as_array().into_iter().flatten();
            let checked = checks.filter_map(|check| Some(check["kind"].as_str()?.to_owned())).collect();
            assert_eq!(declared, checked, "{}", kustomization["metadata"]["name"]);
        }
    }
}

#[test]
fn nothing_is_fetched_that_no_source_of_flux_pins() {
    for (path, text) in outside_of_clusters() {
        for object in objects(&text, &path) {
            let told = format!("{}: {}", path.display(), object["metadata"]["name"]);
            if object["apiVersion"].as_str().is_some_and(|version| version.starts_with("kustomize.config")) {
                let mut fetched = object.clone();
                fetched.as_object_mut().unwrap().remove("patches");
                assert!(!fetched.to_string().contains("://"), "{}", path.display());
            }
            // A tenant's repository is the tenant's, and applied with the tenant's rights.
            let is_of_tenant = path.components().any(|part| part.as_os_str() == "tenants");
            if object["kind"] == "GitRepository" && !is_of_tenant {
                let commit = object["metadata"]["annotations"]["bootstrapper/commit"].as_str().unwrap();
                assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{told}");
                let reference = &object["spec"]["ref"];
                assert!(reference["commit"] == commit || reference["tag"].is_string(), "{told}");
            }
        }
    }
    let instance = std::fs::read_to_string(kubernetes().join("bases/flux/instance.yaml")).unwrap();
    assert!(instance.contains("value: --no-remote-bases=true"));
}

/// Builds, with kustomize, a folder of the layout together with a component.
fn build(folder: &str, component: &str) -> Vec<Value> {
    let copy = common::repository();
    let overlay = copy.path().join("overlay");
    std::fs::create_dir(&overlay).unwrap();
    let kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": [format!("../kubernetes/{folder}")], "components": [format!("../kubernetes/{component}")],
    });
    std::fs::write(overlay.join("kustomization.yaml"), kustomization.to_string()).unwrap();
    let kustomize = common::programs().join("kustomize");
    let output = Command::new(kustomize).arg("build").arg(overlay).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    objects(&String::from_utf8(output.stdout).unwrap(), Path::new("built"))
}

#[test]
fn the_component_for_old_ciliums_takes_the_place_of_the_new_objects() {
    let cilium = "infrastructure/networking/cilium";
    let built = build(&format!("{cilium}/config"), &format!("{cilium}/bgp-until-1.18"));
    let kinds: BTreeSet<(&str, &str)> = built
        .iter()
        .map(|object| (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap()))
        .collect();
    let wanted = [
        ("cilium.io/v2alpha1", "CiliumBGPPeeringPolicy"),
        ("cilium.io/v2alpha1", "CiliumLoadBalancerIPPool"),
    ];
    assert_eq!(kinds, BTreeSet::from(wanted));
}

#[test]
fn a_second_router_is_one_more_peer() {
    let cilium = "infrastructure/networking/cilium";
    let built = build(&format!("{cilium}/config"), &format!("{cilium}/second-router"));
    let config = built.iter().find(|object| object["kind"] == "CiliumBGPClusterConfig").unwrap();
    let peers = config["spec"]["bgpInstances"][0]["peers"].as_array().unwrap();
    let addresses: Vec<&str> = peers.iter().map(|peer| peer["peerAddress"].as_str().unwrap()).collect();
    assert_eq!(addresses, ["${BGP_ROUTER_ADDRESS}", "${BGP_SECOND_ROUTER_ADDRESS}"]);
    assert_eq!(peers[0]["peerConfigRef"], peers[1]["peerConfigRef"]);
}

fn optional() -> PathBuf {
    kubernetes().join("optional")
}

/// The names of the optional components.
pub(crate) fn components() -> BTreeSet<String> {
    let entries = std::fs::read_dir(optional()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn every_optional_component_is_one_line_of_a_cluster_and_described() {
    let readme = std::fs::read_to_string(kubernetes().join("README.md")).unwrap();
    for name in components() {
        for cluster in CLUSTERS {
            let file = kubernetes().join("clusters").join(cluster).join("kustomization.yaml");
            let text = std::fs::read_to_string(&file).unwrap();
            let line = format!("- ../../optional/{name}");
            let found = text.lines().filter(|one| one.trim_start_matches([' ', '#']) == line).count();
            assert_eq!(found, 1, "{cluster}: {name}");
        }
        assert!(readme.contains(&format!("| `{name}` |")), "{name}");
    }
}

/// With a component, and what its description says that it needs, the repository is valid.
#[test]
fn every_optional_component_can_be_added() {
    for name in components() {
        let copy = common::repository();
        common::add_component(&copy, &name);
        let output =
            common::bootstrapper().args(["validate", "--strict", "--repo"]).arg(copy.path()).output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.ends_with("apps, infra: valid\n"), "{name}: {said}");
    }
}
