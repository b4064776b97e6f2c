//! What whole-program tests share: the program, a copy of the repository, and the sandbox's programs.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod charts;
pub(crate) mod internet;
pub(crate) mod keeper;
pub(crate) mod kstatus;
pub(crate) mod oracle;
pub(crate) mod processes;
pub(crate) mod tenant;
pub(crate) mod trees;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use assert_cmd::Command;
use bootstrapper::gitops::Repository;
use bootstrapper::pipeline::Config;
use tempfile::TempDir;

/// The folder of this package, which is a GitOps repository itself.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder that has helm and kustomize; built once on a machine.
pub(crate) fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let output = Command::cargo_bin("bootstrapper").unwrap().args(["sandbox", "programs"]).unwrap();
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    })
}

/// The program in a clean environment, with helm and kustomize on PATH.
pub(crate) fn bootstrapper() -> Command {
    in_clean_environment(Command::cargo_bin("bootstrapper").unwrap())
}

/// The same with a umask that keeps nothing from anybody.
pub(crate) fn bootstrapper_of_the_careless() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "umask 000; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_bootstrapper")]);
    in_clean_environment(command)
}

fn in_clean_environment(mut command: Command) -> Command {
    let path = std::env::join_paths(
        [programs().to_owned()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    command
        .env("PATH", path.unwrap())
        .env("NO_COLOR", "1")
        // What is tested is the same everywhere; `network.rs` asks for the real thing.
        .env("BOOTSTRAPPER_SANDBOX_NETWORK", "simulated")
        // The repositories are these tests' own; `trust/consent.rs` does without.
        .env("BOOTSTRAPPER_TRUST", "1")
        .env_remove("KUBECONFIG")
        .env_remove("BOOTSTRAPPER_REPO");
    command
}

/// What `flux bootstrap` writes into `gotk-sync.yaml` of a cluster in `folder`. The Kustomization
/// comes last: its spec may go on.
pub(crate) fn sync(folder: &str) -> String {
    format!(
        "apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {{name: flux-system, namespace: flux-system}}
spec: {{interval: 1m, url: https://git.invalid/home, ref: {{branch: main}}}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {{name: flux-system, namespace: flux-system}}
spec:
  interval: 10m
  path: {folder}
  prune: true
  sourceRef: {{kind: GitRepository, name: flux-system}}
"
    )
}

/// A repository that is laid out as other people do it.
pub(crate) fn fixture(name: &str) -> PathBuf {
    root().join("tests/fixtures/repositories").join(name)
}

/// The same, opened as its `bootstrapper.yaml` says.
pub(crate) fn opened(name: &str) -> Repository {
    let entries = Config::load(&fixture(name)).unwrap().entries();
    Repository::open_with(&fixture(name), &entries).unwrap()
}

/// The secrets that the bootstrap of a repository brings, by their names: their values are invented.
pub(crate) fn seeded(root: &Path, cluster: &str) -> bootstrapper::gitops::SecretValues {
    let config = Config::load(root).unwrap();
    let secrets = bootstrapper::gitops::seeded_secrets(root, &config, cluster).unwrap();
    let secrets = secrets.into_iter().map(|secret| {
        let data = secret.values.into_keys().map(|key| (key, "invented".into())).collect();
        ((secret.namespace, secret.name), data)
    });
    secrets.collect()
}

/// A copy of this package as a GitOps repository.
pub(crate) fn exact_copy() -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for folder in ["kubernetes", "tasks"] {
        copy_folder(&root().join(folder), &copy.path().join(folder));
    }
    std::fs::copy(root().join("bootstrapper.yaml"), copy.path().join("bootstrapper.yaml")).unwrap();
    copy
}

/// A copy of the repository without remote manifests, to be broken.
pub(crate) fn repository() -> TempDir {
    let copy = exact_copy();
    // The remote manifests are not what these tests are about, and there may be no internet.
    let crds = copy.path().join("kubernetes/infrastructure/networking/crds");
    std::fs::write(crds.join("kustomization.yaml"), "resources: [crds.yaml]\n").unwrap();
    let all: Vec<String> = FETCHED_KINDS.iter().map(|kind| crd(*kind).to_string()).collect();
    std::fs::write(crds.join("crds.yaml"), all.join("\n---\n")).unwrap();
    copy
}

/// Adds an optional component of the layout to every cluster that can have it, with the settings and Secrets that
/// kubernetes/README.md lists for it.
pub(crate) fn add_component(copy: &TempDir, name: &str) {
    for cluster in ["infra", "apps"] {
        // One cluster has the stores, the other sends to them.
        let has_stores = cluster == "infra";
        let is_possible = match name {
            "observability-agent" => !has_stores,
            "alert-receiver" | "observability-screens" => has_stores,
            _ => true,
        };
        if !is_possible {
            continue;
        }
        if name == "postgres-restore" {
            add_component_to(copy, cluster, "postgres-backups");
        }
        add_component_to(copy, cluster, name);
    }
}

fn add_component_to(copy: &TempDir, cluster: &str, name: &str) {
    let folder = copy.path().join("kubernetes/clusters").join(cluster);
    let change = |file: &Path, change: &dyn Fn(String) -> String| {
        let text = std::fs::read_to_string(file).unwrap();
        std::fs::write(file, change(text)).unwrap();
    };
    let line = format!("- ../../optional/{name}\n");
    change(&folder.join("kustomization.yaml"), &|text| text.replace(&format!("# {line}"), &line));
    let settings = match name {
        "postgres-backups" => {
            "  BACKUP_DESTINATION: s3://backups/\n  BACKUP_ENDPOINT: https://s3.example.org\n  POSTGRES_ARCHIVE: second\n"
        }
        "postgres-restore" => "  POSTGRES_RESTORE_ARCHIVE: first\n",
        _ => "",
    };
    change(&folder.join("settings.yaml"), &|text| {
        if text.contains(settings) { text } else { text + settings }
    });
    if name == "private-repository" {
        let head = format!("  {cluster}:\n    context: {cluster}\n");
        let secret = "      - {name: flux-system, namespace: flux-system, data: {username: {env: U}, password: {env: P}}}\n";
        change(&copy.path().join("bootstrapper.yaml"), &|text| {
            let (before, rest) = text.split_once(&head).unwrap();
            let (distribution, rest) = rest.split_once("    secrets:\n").unwrap();
            format!("{before}{head}{distribution}    secrets:\n{secret}{rest}")
        });
    }
}

/// Group, kind and plural of what the repository fetches, as far as it declares objects of them or
/// Cilium asks for them.
const FETCHED_KINDS: [(&str, &str, &str); 12] = [
    ("gateway.networking.k8s.io", "GatewayClass", "gatewayclasses"),
    ("gateway.networking.k8s.io", "Gateway", "gateways"),
    ("gateway.networking.k8s.io", "HTTPRoute", "httproutes"),
    ("gateway.networking.k8s.io", "GRPCRoute", "grpcroutes"),
    ("gateway.networking.k8s.io", "TLSRoute", "tlsroutes"),
    ("gateway.networking.k8s.io", "ReferenceGrant", "referencegrants"),
    ("gateway.networking.k8s.io", "BackendTLSPolicy", "backendtlspolicies"),
    ("cilium.io", "CiliumBGPClusterConfig", "ciliumbgpclusterconfigs"),
    ("cilium.io", "CiliumBGPPeerConfig", "ciliumbgppeerconfigs"),
    ("cilium.io", "CiliumBGPAdvertisement", "ciliumbgpadvertisements"),
    ("cilium.io", "CiliumLoadBalancerIPPool", "ciliumloadbalancerippools"),
    ("cilium.io", "CiliumNetworkPolicy", "ciliumnetworkpolicies"),
];

/// A CRD that takes any field.
fn crd((group, kind, plural): (&str, &str, &str)) -> serde_json::Value {
    let (version, scope) = match (group, kind) {
        ("cilium.io", "CiliumNetworkPolicy") => ("v2", "Namespaced"),
        ("cilium.io", _) => ("v2", "Cluster"),
        (_, "GatewayClass") => ("v1", "Cluster"),
        _ => ("v1", "Namespaced"),
    };
    serde_json::json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{group}"), "annotations": {
            "gateway.networking.k8s.io/bundle-version": "v1.6.3", "gateway.networking.k8s.io/channel": "standard",
        }},
        "spec": {
            "group": group, "scope": scope, "names": {"kind": kind, "plural": plural},
            "versions": [{"name": version, "served": true, "storage": true, "schema": {
                "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            }}],
        },
    })
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Lets a cluster of this repository's layout run another distribution, as its README describes.
pub(crate) fn set_distribution(copy: &TempDir, cluster: &str, usual: &str, other: &str) {
    let config = |name: &str| format!("  {cluster}:\n    context: {cluster}\n    distribution: {name}\n");
    edit(copy, "bootstrapper.yaml", &config(usual), &config(other));
    let file = copy.path().join(format!("kubernetes/clusters/{cluster}/infrastructure.yaml"));
    let text = std::fs::read_to_string(&file).unwrap();
    let component = |name: &str| format!("/distributions/{name}\n");
    assert!(text.contains(&component(usual)), "{cluster} does not run {usual}");
    std::fs::write(file, text.replace(&component(usual), &component(other))).unwrap();
}

/// Replaces text in a file of a copy.
pub(crate) fn edit(copy: &TempDir, file: &str, from: &str, to: &str) {
    let path = copy.path().join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has no {from:?}");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}
