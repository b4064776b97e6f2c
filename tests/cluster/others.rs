//! Repositories in the style of others, whose owners do not know this program: what their bootstrap
//! installs, Flux takes over as it is. Only what a sandbox cannot have is replaced in them: charts,
//! keys, and where they are fetched from.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use crate::common;

use std::path::{Path, PathBuf};
use std::process::{Child, Command as Plain, Stdio};
use std::time::Duration;

use bootstrapper::cluster::{Cluster, ConnectOptions};
use bootstrapper::object::ObjectRef;
use bootstrapper::sandbox::Sandbox;
use common::edit;
use common::processes::{self, CONTROLLERS};
use futures::StreamExt as _;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

/// A copy of a repository, and the sandbox of its cluster; goes down with the test.
pub(crate) struct Rehearsal {
    pub(crate) copy: TempDir,
    state: TempDir,
    cluster: &'static str,
    /// A folder of programs, before those of PATH.
    programs: Option<PathBuf>,
}

impl Rehearsal {
    pub(crate) fn of(repository: &str, cluster: &'static str) -> Self {
        let copy = tempfile::tempdir().unwrap();
        let fixture = common::fixture(repository);
        common::copy_folder(&fixture, copy.path());
        let git = Plain::new("git").args(["init", "--quiet"]).current_dir(copy.path()).status().unwrap();
        assert!(git.success());
        Self { copy, state: tempfile::tempdir().unwrap(), cluster, programs: None }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> assert_cmd::Command {
        let mut command = common::bootstrapper();
        command.env("BOOTSTRAPPER_STATE_DIR", self.state.path()).args(arguments);
        if let Some(programs) = &self.programs {
            let path = command
                .get_envs()
                .find_map(|(name, value)| (name == "PATH").then(|| value.unwrap().to_owned()));
            let mut all = programs.clone().into_os_string();
            all.push(":");
            all.push(path.unwrap_or_else(|| std::env::var_os("PATH").unwrap()));
            command.env("PATH", all);
        }
        command
    }

    /// The same, with a folder of programs before those of PATH.
    pub(crate) fn with_programs(mut self, programs: &Path) -> Self {
        self.programs = Some(programs.to_owned());
        self
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> assert_cmd::assert::Assert {
        let mut command = self.command(arguments);
        command.arg("--repo").arg(self.copy.path()).timeout(Duration::from_mins(10)).assert()
    }

    /// Where the bootstrap tells what it does.
    fn told_to(&self) -> PathBuf {
        self.state.path().join("told")
    }

    /// The bootstrap, begun.
    fn begin(&self) -> Child {
        let told = self.command(&[self.cluster, "--sandbox", "--progress", "plain", "--repo"]);
        Plain::new(told.get_program())
            .args(told.get_args())
            .arg(self.copy.path())
            .envs(told.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(self.told_to()).unwrap())
            .spawn()
            .unwrap()
    }

    fn folder(&self) -> PathBuf {
        self.state.path().join("sandboxes").join(self.cluster)
    }

    /// Returns as soon as an object's conditions say so.
    fn once(&self, id: &ObjectRef, says: &str) {
        let kubeconfig = Some(self.folder().join("kubeconfig"));
        let said = async {
            let access = ConnectOptions { kubeconfig, context: self.cluster.into() };
            let cluster = Cluster::connect(&access).await.unwrap();
            let mut states = cluster.follow(vec![id.clone()]);
            while let Some(Ok(state)) = states.next().await {
                let object = state[id].as_ref();
                if object.is_some_and(|object| object.data["status"]["conditions"].to_string().contains(says))
                {
                    return;
                }
            }
        };
        let limit = Duration::from_mins(5);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async { tokio::time::timeout(limit, said).await }).expect("it never says so");
    }

    fn remove(&self, path: &str) {
        let path = self.copy.path().join(path);
        if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }.unwrap();
    }

    /// The bootstrap to its end, which foretells that; and what `handover` says then.
    fn handed_over(&self, foretold: &str) -> Value {
        self.run(&[self.cluster, "--sandbox", "--progress", "plain"]).success().stderr(contains(foretold));
        self.answer()
    }

    /// What `handover` says.
    pub(crate) fn answer(&self) -> Value {
        let asked = ["handover", self.cluster, "--sandbox", "--check", "--output", "json"];
        serde_json::from_slice(&self.run(&asked).success().get_output().stdout).unwrap()
    }
}

impl Drop for Rehearsal {
    fn drop(&mut self) {
        let _ = self.command(&["sandbox", "down", self.cluster]).output();
    }
}

fn kept<'a>(answer: &'a Value, owner: &str) -> &'a Value {
    let all = answer["adopted"]["kept"].as_array().unwrap();
    all.iter().find(|kept| kept["owner"] == owner).unwrap_or_else(|| panic!("nothing of {owner}: {all:#?}"))
}

/// Charts are artifacts, and their digests part of their versions; values come from a generated
/// ConfigMap; patches from above. Flux is installed by its operator.
#[test]
fn an_existing_repository_is_bootstrapped_unchanged() {
    let home = Rehearsal::of("home", "cluster");
    let apps = "kubernetes/apps";
    let cilium = format!("{apps}/kube-system/cilium/app/ocirepository.yaml");
    edit(&home.copy, &cilium, "oci://charts.example.org/cilium", "oci://quay.io/cilium/charts/cilium");
    edit(&home.copy, &cilium, "1.18.4", "1.20.2");
    for name in ["flux-operator", "flux-instance"] {
        let release = format!("{apps}/flux-system/{name}/app/release.yaml");
        edit(
            &home.copy,
            &release,
            "oci://charts.example.org/",
            "oci://ghcr.io/controlplaneio-fluxcd/charts/",
        );
        edit(&home.copy, &release, "0.33.0", "0.58.1");
    }
    let common = "kubernetes/components/common";
    home.remove(&format!("{common}/cluster-secrets.sops.yaml"));
    edit(&home.copy, &format!("{common}/kustomization.yaml"), "  - cluster-secrets.sops.yaml\n", "");
    let sync = "kubernetes/flux/cluster/ks.yaml";
    edit(&home.copy, sync, "  decryption:\n    provider: sops\n    secretRef:\n      name: sops-age\n", "");
    let again = "          decryption:\n            provider: sops\n            secretRef:\n              name: sops-age\n";
    edit(&home.copy, sync, again, "");
    edit(&home.copy, sync, "              - kind: Secret\n                name: cluster-secrets\n", "");
    home.remove(&format!("{apps}/default"));

    // Nobody bootstraps the two Namespaces as they are declared: Helm makes one, and one is there.
    let answer = home.handed_over("drift in 2 of ");
    let network = kept(&answer, "HelmRelease kube-system/cilium");
    assert_eq!(network["revisions"], serde_json::json!([1, 2]));
    assert!(network["pods"].as_u64().unwrap() >= 4, "{network:#}");
    let pool = kept(&answer, "Kustomization kube-system/cilium-config");
    assert_eq!(pool["managers"], serde_json::json!({"kustomize-controller Apply": 1}));
}

/// Flux is what `flux bootstrap` writes into the repository, and so takes over its own controllers; in
/// that moment they are killed.
#[test]
fn flux_takes_over_itself_as_flux_bootstrap_wrote_it() {
    let stages = Rehearsal::of("stages", "staging");
    let controllers = "infrastructure/controllers";
    let certificates = format!("{controllers}/certificates.yaml");
    let address = "  url: https://charts.example.org/certificates/";
    edit(&stages.copy, &certificates, address, "  type: oci\n  url: oci://quay.io/jetstack/charts");
    // Among the tags of a registry a range finds none that begins with a `v`.
    edit(&stages.copy, &certificates, "version: 1.x", "version: v1.21.2");
    // The nodes of a sandbox are ready once Cilium is there.
    edit(&stages.copy, &format!("{controllers}/kustomization.yaml"), "  - gateway.yaml", "  - network.yaml");
    std::fs::write(stages.copy.path().join(controllers).join("network.yaml"), NETWORK).unwrap();
    let flux = "clusters/staging/flux-system";
    let sync = format!("{flux}/gotk-sync.yaml");
    edit(&stages.copy, &sync, "ssh://git@git.example.org/stages", "https://git.example.org/stages.git");
    edit(&stages.copy, &sync, "  secretRef:\n    name: flux-system\n", "");
    for other in ["apps.yaml", "artifacts.yaml"] {
        stages.remove(&format!("clusters/staging/{other}"));
    }
    let tasks = "tasks/bootstrap.yaml";
    let first = "stages:\n";
    let of_flux = [
        "  - name: network\n    steps: [{release: cilium, await: false}]\n",
        "  - name: flux\n    steps: [{objects: flux.yaml}, {wait: {probe: flux.controllers}}]\n",
    ];
    let of_flux = format!("{first}{}", of_flux.concat());
    edit(&stages.copy, tasks, first, &of_flux);
    stages.run(&["sandbox", "up", "staging"]).success();
    stages.write_components(&format!("{flux}/gotk-components.yaml"));

    let root = ObjectRef::namespaced(
        "kustomize.toolkit.fluxcd.io/v1",
        "Kustomization",
        "flux-system",
        "flux-system",
    );
    let mut run = stages.begin();
    stages.once(&root, "Reconciliation in progress");
    assert_eq!(processes::killed(&stages.folder(), &CONTROLLERS), CONTROLLERS);
    let status = run.wait().unwrap();
    let told = std::fs::read_to_string(stages.told_to()).unwrap();
    assert!(status.success() && told.contains("no drift"), "{told}");
    assert!(told.contains(" kept, nothing changed"), "{told}");

    let answer = stages.answer();
    let of_flux = kept(&answer, "Kustomization flux-system/flux-system");
    assert!(
        of_flux["objects"].as_u64().unwrap() > 20 && of_flux["pods"].as_u64().unwrap() >= 4,
        "{of_flux:#}"
    );
    assert!(
        of_flux["managers"].as_object().unwrap().keys().all(|name| !name.starts_with("kubectl")),
        "{of_flux:#}"
    );
    for release in ["HelmRelease certificates/cert-manager", "HelmRelease kube-system/cilium"] {
        assert_eq!(kept(&answer, release)["revisions"], serde_json::json!([1, 2]));
    }
}

const NETWORK: &str = "\
apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {name: cilium, namespace: kube-system}
spec: {type: oci, interval: 24h, url: 'oci://quay.io/cilium/charts'}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: cilium, namespace: kube-system}
spec:
  interval: 30m
  chart:
    spec:
      chart: cilium
      version: 1.20.x
      sourceRef: {kind: HelmRepository, name: cilium}
  values: {cluster: {name: staging, id: 1}}
";

impl Rehearsal {
    /// Writes what `flux bootstrap` would: Flux's own manifests, from where Flux publishes them.
    pub(crate) fn write_components(&self, file: &str) {
        let known = std::fs::read(self.folder().join("sandbox.json")).unwrap();
        let sandbox: Sandbox = serde_json::from_slice(&known).unwrap();
        let published = "https://github.com/fluxcd/flux2/releases/download/v2.9.4/install.yaml";
        let build = tempfile::tempdir().unwrap();
        let kustomization = format!("namespace: flux-system\nresources: [namespace.yaml, {published}]\n");
        let namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: flux-system}\n";
        std::fs::write(build.path().join("namespace.yaml"), namespace).unwrap();
        std::fs::write(build.path().join("kustomization.yaml"), kustomization).unwrap();
        let output = Plain::new(common::programs().join("kustomize"))
            .arg("build")
            .arg(build.path())
            .envs(&sandbox.environment.variables)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let copy = Path::new(self.copy.path());
        std::fs::write(copy.join(file), &output.stdout).unwrap();
        // What a step applies, it substitutes in; Flux does not here.
        let text = String::from_utf8(output.stdout).unwrap().replace("${", "$${");
        std::fs::write(copy.join("flux.yaml"), text).unwrap();
    }
}
