//! Sandboxes of one virtual site, and what a test asks of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use assert_cmd::Command;
use backon::{ConstantBuilder, Retryable as _};
use bootstrapper::cluster::{Cluster, ConnectOptions};
use bootstrapper::object::{Object, ObjectRef, Selection};
use kube::api::{Api, ApiResource, Patch, PatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use serde_json::Value;
use tempfile::TempDir;

use crate::common;

pub(crate) const CLUSTERS: [&str; 2] = ["infra", "apps"];

/// Sandboxes of their own state folder. They go down with the test, whatever becomes of it.
pub(crate) struct Site {
    state: TempDir,
    repository: TempDir,
}

/// What Flux has to do for a network and a mesh. The rest would only take its time.
const KUSTOMIZATIONS: [&str; 11] = [
    "networking-crds",
    "cilium",
    "cilium-config",
    "cilium-mesh",
    "cilium-gateway",
    "coredns",
    "flux",
    "cert-manager",
    "cert-manager-config",
    "external-secrets",
    "external-secrets-config",
];

/// How long something may take that nothing tells of.
pub(crate) const POLICY: ConstantBuilder =
    ConstantBuilder::new().with_delay(Duration::from_secs(1)).with_max_times(90);

impl Site {
    pub(crate) fn new() -> Self {
        let repository = common::exact_copy();
        for cluster in CLUSTERS {
            let folder = repository.path().join("kubernetes/clusters").join(cluster);
            let all = std::fs::read_to_string(folder.join("infrastructure.yaml")).unwrap();
            let is_kept = |document: &&str| {
                KUSTOMIZATIONS.iter().any(|name| document.contains(&format!("\n  name: {name}\n")))
            };
            let kept: Vec<&str> = all.split("---\n").filter(is_kept).collect();
            std::fs::write(folder.join("infrastructure.yaml"), kept.join("---\n")).unwrap();
            let kustomization = folder.join("kustomization.yaml");
            let all = std::fs::read_to_string(&kustomization).unwrap();
            let is_kept = |line: &&str| !line.contains("workloads.yaml") && !line.contains("../../optional/");
            let kept: Vec<&str> = all.lines().filter(is_kept).collect();
            std::fs::write(&kustomization, kept.join("\n")).unwrap();
        }
        // An agent lets no new pod through before it has heard of its peers, which are not there yet.
        let release = "kubernetes/bases/cilium/release.yaml";
        let values = "  values:\n";
        let hasty = "  values:\n    extraConfig: {clustermesh-sync-timeout: 5s}\n";
        common::edit(&repository, release, values, hasty);
        let site = Self { state: tempfile::tempdir().unwrap(), repository };
        // What a killed run of somebody else has left would go away while a test looks.
        site.bare(&["sandbox", "gc"]).assert().success();
        site
    }

    /// The same, with the nodes of each cluster in two subnets: the last one behind the router.
    pub(crate) fn of_two_subnets() -> Self {
        let site = Self::new();
        for cluster in CLUSTERS {
            let settings = format!("kubernetes/clusters/{cluster}/settings.yaml");
            let nodes = "  NODE_CIDR: 10.25.11.0/24\n";
            let both = "  NODE_CIDR: 10.25.10.0/23\n  NODE_SUBNETS: 10.25.11.0/24, 10.25.10.0/24\n";
            common::edit(&site.repository, &settings, nodes, both);
        }
        site
    }

    pub(crate) fn repository(&self) -> &Path {
        self.repository.path()
    }

    pub(crate) fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = common::bootstrapper();
        command
            .env("BOOTSTRAPPER_STATE_DIR", self.state.path())
            .env("BOOTSTRAPPER_SANDBOX_NETWORK", "real")
            .args(arguments);
        command
    }

    /// A verb about clusters of the repository.
    pub(crate) fn about(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare(arguments);
        command.arg("--repo").arg(self.repository());
        command
    }

    /// The same, for who wants to go on meanwhile.
    pub(crate) fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("bootstrapper"));
        let of_tests = self.about(arguments);
        command.args(of_tests.get_args());
        command.envs(of_tests.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command
    }

    /// For what [`Cluster`] does not do: patches.
    pub(crate) async fn client(&self, cluster: &str) -> kube::Client {
        let kubeconfig = Kubeconfig::read_from(self.folder(cluster).join("kubeconfig")).unwrap();
        let options = KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        kube::Client::try_from(config).unwrap()
    }

    /// Writes into the API what the agent of a node of `infra` might have: the state of its session.
    pub(crate) async fn tells_of_session(&self, node: &str, state: &str) {
        let client = self.client("infra").await;
        let kind = GroupVersionKind::gvk("cilium.io", "v2", "CiliumBGPNodeConfig");
        let api: Api<Object> = Api::all_with(client, &ApiResource::from_gvk(&kind));
        let mut status = api.get(node).await.unwrap().data["status"].take();
        status["bgpInstances"][0]["peers"][0]["peeringState"] = state.into();
        let patch = Patch::Merge(serde_json::json!({"status": status}));
        api.patch_status(node, &PatchParams::default(), &patch).await.unwrap();
    }

    pub(crate) fn folder(&self, cluster: &str) -> PathBuf {
        self.state.path().join("sandboxes").join(cluster)
    }

    /// What a program on a machine of the site writes.
    pub(crate) fn on(&self, cluster: &str, machine: &str, command: &[&str]) -> String {
        let arguments = [&["sandbox", "exec", cluster, machine, "--"], command].concat();
        let output = self.bare(&arguments).assert().success();
        String::from_utf8(output.get_output().stdout.clone()).unwrap()
    }

    pub(crate) async fn cluster(&self, name: &str) -> Cluster {
        let kubeconfig = Some(self.folder(name).join("kubeconfig"));
        Cluster::connect(&ConnectOptions { kubeconfig, context: name.into() }).await.unwrap()
    }

    /// Where its sandboxes keep their state.
    pub(crate) fn state(&self) -> &Path {
        self.state.path()
    }

    /// Tries a verb until it says what it should.
    pub(crate) async fn until(&self, arguments: &[&str], expected: &str) {
        let says = || async {
            let output = self.about(arguments).output().unwrap();
            let told = [output.stdout, output.stderr].concat();
            let told = String::from_utf8(told).unwrap();
            if told.contains(expected) { Ok(()) } else { Err(told) }
        };
        if let Err(told) = says.retry(POLICY).await {
            panic!("{arguments:?} does not say {expected:?}, but:\n{told}");
        }
    }

    /// Tries a verb until it succeeds.
    pub(crate) async fn until_well(&self, arguments: &[&str]) {
        let is_well = || async {
            let output = self.about(arguments).output().unwrap();
            let told = [output.stdout, output.stderr].concat();
            if output.status.success() { Ok(()) } else { Err(String::from_utf8(told).unwrap()) }
        };
        if let Err(told) = is_well.retry(POLICY).await {
            panic!("{arguments:?} does not succeed:\n{told}");
        }
    }

    /// Kills a supervisor, and cleans up after it.
    pub(crate) async fn kill_and_collect(&self, cluster: &str) {
        let supervisor = std::fs::read_to_string(self.folder(cluster).join("supervisor.pid")).unwrap();
        std::process::Command::new("kill").args(["-9", supervisor.trim()]).status().unwrap();
        // Its lock is free once the kernel has ended it.
        let collect = || async {
            let output = self.bare(&["sandbox", "gc"]).output().unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            if told.contains("cleaned up") { Ok(()) } else { Err(told) }
        };
        let policy = ConstantBuilder::default().with_delay(Duration::from_millis(100)).with_max_times(50);
        collect.retry(policy).await.unwrap();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        for cluster in CLUSTERS.into_iter().filter(|cluster| self.folder(cluster).exists()) {
            let _ = self.bare(&["sandbox", "down", cluster]).output();
        }
    }
}

/// The states of a cluster's BGP sessions.
pub(crate) async fn sessions(cluster: &Cluster) -> Vec<String> {
    let configs = cluster.list(&Selection::of("cilium.io/v2", "CiliumBGPNodeConfig")).await.unwrap();
    let peer = |config: &Object| config.data["status"]["bgpInstances"][0]["peers"][0].clone();
    configs
        .iter()
        .map(|config| peer(config)["peeringState"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// Waits until all of them are in that state.
pub(crate) async fn until_sessions_are(cluster: &Cluster, state: &str) {
    let they_are = || async {
        let states = sessions(cluster).await;
        if states == [state; 3] { Ok(()) } else { Err(states) }
    };
    they_are.retry(POLICY).await.unwrap();
}

/// What a program in the first pod of a kind writes, through the API server.
pub(crate) async fn exec(cluster: &Cluster, label: &str, container: &str, command: &[&str]) -> String {
    let pods = Selection::of("v1", "Pod").within("kube-system").labelled(label);
    let pod = ObjectRef::of(&cluster.list(&pods).await.unwrap()[0]);
    let executed = cluster.exec(&pod, container, command, Duration::from_secs(30)).await.unwrap();
    assert!(executed.succeeded, "{command:?}: {} {}", executed.stdout, executed.stderr);
    executed.stdout
}

/// The prefixes that a router's table has.
pub(crate) fn table(site: &Site, cluster: &str) -> serde_json::Map<String, Value> {
    let text = site.on(cluster, "router", &["gobgp", "--json", "global", "rib"]);
    serde_json::from_str(&text).unwrap()
}

/// The same of FRR.
pub(crate) fn table_of_frr(site: &Site, cluster: &str) -> serde_json::Map<String, Value> {
    let show = ["vtysh", "--vty_socket", "/run/frr", "-c", "show bgp ipv4 unicast json"];
    let told: Value = serde_json::from_str(&site.on(cluster, "router", &show)).unwrap();
    told["routes"].as_object().unwrap().clone()
}
