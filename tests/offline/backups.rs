//! The manifests of `docs/backups.md` fit the components.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use bootstrapper::yaml;
use serde_json::Value;

use crate::common::{self, root};

/// The block of the page with that name.
fn shown(name: &str) -> Value {
    let page = std::fs::read_to_string(root().join("docs/backups.md")).unwrap();
    let (_, rest) = page.split_once(&format!("```yaml {name}\n")).unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    let indent = text.len() - text.trim_start_matches(' ').len();
    let lines = text.lines().map(|line| line.get(indent..).unwrap_or_default());
    yaml::from_str(&lines.collect::<Vec<_>>().join("\n"), Path::new(name)).unwrap()
}

fn component(path: &str) -> String {
    std::fs::read_to_string(root().join("kubernetes/optional").join(path)).unwrap()
}

#[test]
fn the_settings_are_those_that_the_components_use() {
    let store = component("postgres-backups/cluster/store.yaml");
    let cluster = component("postgres-backups/cluster/kustomization.yaml");
    let settings = shown("settings");
    for name in settings.as_object().unwrap().keys() {
        let used = format!("${{{name}}}");
        assert!(store.contains(&used) || cluster.contains(&used), "{name}");
    }
    let restored = shown("restore-settings");
    assert_eq!(restored["POSTGRES_RESTORE_ARCHIVE"], settings["POSTGRES_ARCHIVE"]);
    assert_ne!(restored["POSTGRES_ARCHIVE"], settings["POSTGRES_ARCHIVE"]);
    assert!(component("postgres-restore/cluster/kustomization.yaml").contains("${POSTGRES_RESTORE_ARCHIVE}"));
}

#[test]
fn snapshots_have_the_class_of_the_component() {
    let snapshot = shown("snapshot");
    let restored = shown("restored");
    assert_eq!(restored["spec"]["dataSource"]["name"], snapshot["metadata"]["name"]);
    let class = snapshot["spec"]["volumeSnapshotClassName"].as_str().unwrap();
    assert!(component("snapshots/ceph/kustomization.yaml").contains(&format!("name: {class}\n")));
}

/// The claim against Kubernetes' own schema; the cluster with a point in time as the component has it.
#[test]
fn the_manifests_are_valid() {
    let copy = common::repository();
    common::add_component(&copy, "postgres-restore");
    common::add_component(&copy, "snapshots");
    let target = format!("recoveryTarget: {}", shown("target")["recoveryTarget"]);
    let restore = "kubernetes/optional/postgres-restore/cluster/kustomization.yaml";
    common::edit(
        &copy,
        restore,
        "            source: archive\n",
        &format!("            source: archive\n            {target}\n"),
    );
    let folder = copy.path().join("kubernetes/workloads/platform/databases/cloudnative-pg/cluster");
    for name in ["snapshot", "restored"] {
        let mut object = shown(name);
        object["metadata"]["namespace"] = "postgres".into();
        std::fs::write(folder.join(format!("{name}.yaml")), object.to_string()).unwrap();
    }
    let kustomization = "kubernetes/workloads/platform/databases/cloudnative-pg/cluster/kustomization.yaml";
    common::edit(
        &copy,
        kustomization,
        "  - service.yaml\n",
        "  - service.yaml\n  - snapshot.yaml\n  - restored.yaml\n",
    );
    let output =
        common::bootstrapper().args(["validate", "--strict", "--repo"]).arg(copy.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.ends_with("apps, infra: valid\n"), "{said}");
}
