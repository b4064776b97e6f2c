//! The main job on a real network: real agents, a real router, and nothing left behind.
//!
//! It needs root, BPF and a compiler. Where a machine cannot have that, each test here is told as
//! ignored, by name and count, with what is missing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use assert_cmd::Command;
use backon::{ConstantBuilder, Retryable as _};
use bootstrapper::cluster::{Cluster, ConnectOptions};
use bootstrapper::object::{Object, ObjectRef, Selection};
use bootstrapper::sandbox;
use common::root;
use libtest_mimic::{Arguments, Trial};
use predicates::prelude::*;
use predicates::str::contains;
use tempfile::TempDir;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let missing = sandbox::missing();
    for lack in &missing {
        eprintln!("a real network is not tested here: this machine lacks {lack}");
    }
    let tests: [(&str, fn()); 2] = [
        ("a_bootstrap_holds_on_a_real_network", a_bootstrap_holds_on_a_real_network),
        ("a_sandbox_that_goes_down_leaves_no_trace", a_sandbox_that_goes_down_leaves_no_trace),
    ];
    let trial = |(name, test): (&str, fn())| {
        let run = move || {
            test();
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(!missing.is_empty())
    };
    // One at a time: they look at what is on the whole machine.
    let arguments = Arguments { test_threads: Some(1), ..arguments };
    libtest_mimic::run(&arguments, tests.into_iter().map(trial).collect()).exit_code()
}

/// A sandbox of its own state folder. Goes down with the test, whatever becomes of it.
struct Sandbox {
    state: TempDir,
}

const NAME: &str = "infra";

impl Sandbox {
    fn new() -> Self {
        Self { state: tempfile::tempdir().unwrap() }
    }

    fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = common::bootstrapper();
        command
            .env("BOOTSTRAPPER_STATE_DIR", self.state.path())
            .env("BOOTSTRAPPER_SANDBOX_NETWORK", "real")
            .args(arguments);
        command
    }

    fn folder(&self) -> PathBuf {
        self.state.path().join("sandboxes").join(NAME)
    }

    /// What a program on a machine of the site writes.
    fn on(&self, machine: &str, command: &[&str]) -> String {
        let arguments = [&["sandbox", "exec", NAME, machine, "--"], command].concat();
        let output = self.bare(&arguments).assert().success();
        String::from_utf8(output.get_output().stdout.clone()).unwrap()
    }

    async fn cluster(&self) -> Cluster {
        let kubeconfig = Some(self.folder().join("kubeconfig"));
        Cluster::connect(&ConnectOptions { kubeconfig, context: NAME.into() }).await.unwrap()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.bare(&["sandbox", "down", NAME]).output();
    }
}

/// All of this machine that a network could leave something in.
#[derive(Debug, PartialEq)]
struct Host {
    links: BTreeSet<String>,
    mounts: BTreeSet<String>,
    namespaces: BTreeMap<&'static str, usize>,
    control_groups: BTreeSet<String>,
    /// Of the whole kernel: `id` and name of each BPF program and map.
    bpf: BTreeSet<String>,
    packet_filter: Vec<String>,
    switches: BTreeMap<&'static str, String>,
    marked: usize,
}

impl Host {
    fn look() -> Self {
        let names = |folder: &str| -> BTreeSet<String> {
            let entries = std::fs::read_dir(folder).into_iter().flatten();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
        };
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let groups = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2")).unwrap();
        let switch = |name: &'static str| {
            (name, std::fs::read_to_string(Path::new("/proc/sys").join(name)).unwrap_or_default())
        };
        Self {
            links: names("/sys/class/net"),
            namespaces: ["net", "mnt"].map(|kind| (kind, namespaces(kind).len())).into(),
            control_groups: names(groups.split(' ').nth(1).unwrap()),
            mounts: mounts.lines().map(str::to_owned).collect(),
            bpf: ["prog", "map"].into_iter().flat_map(bpf).collect(),
            packet_filter: lines("iptables-save").filter(|line| !line.starts_with('#')).collect(),
            switches: ["kernel/unprivileged_bpf_disabled", "kernel/timer_migration", "net/ipv4/ip_forward"]
                .map(switch)
                .into(),
            marked: marked(),
        }
    }

    /// The kernel takes its time to let go of what nobody holds any more.
    async fn becomes(before: &Self) {
        let look = || async {
            let now = Self::look();
            if now == *before { Ok(()) } else { Err(now) }
        };
        let patiently = ConstantBuilder::default().with_delay(Duration::from_millis(200)).with_max_times(150);
        if let Err(now) = look.retry(patiently).await {
            panic!("not as before:\nbefore {before:#?}\nnow {now:#?}");
        }
    }
}

fn processes() -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_str().unwrap().parse::<u32>().is_ok())
}

fn namespaces(kind: &str) -> BTreeSet<PathBuf> {
    processes().filter_map(|process| std::fs::read_link(process.join("ns").join(kind)).ok()).collect()
}

fn marked() -> usize {
    let environments = processes().filter_map(|process| std::fs::read(process.join("environ")).ok());
    environments.filter(|text| String::from_utf8_lossy(text).contains("BOOTSTRAPPER_SANDBOX=")).count()
}

fn lines(command: &str) -> impl Iterator<Item = String> {
    let output = std::process::Command::new(command).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect::<Vec<_>>().into_iter()
}

fn bpf(kind: &str) -> Vec<String> {
    let output = std::process::Command::new("bpftool").args(["--json", kind, "list"]).output();
    let output = output.expect("bpftool tells whether BPF programs were left: apt-get install bpftool");
    let listed: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    // Linux 6.18 can keep an agent's program arrays, empty and held by nobody: see the design.
    let counts = |one: &&serde_json::Value| one["type"] != "prog_array";
    listed.iter().filter(counts).map(|one| format!("{kind} {} {}", one["id"], one["name"])).collect()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

fn a_bootstrap_holds_on_a_real_network() {
    let before = Host::look();
    let sandbox = Sandbox::new();
    sandbox
        .bare(&[NAME, "--sandbox", "--progress", "plain", "--repo"])
        .arg(root())
        .assert()
        .success()
        .stderr(contains("each node a network namespace with a Cilium agent of its own"));
    block_on(async {
        let cluster = sandbox.cluster().await;
        let nodes = cluster.list(&Selection::of("v1", "Node")).await.unwrap();
        nodes_are_as_their_agents_say(&cluster, &nodes).await;
        the_router_knows_the_way(&sandbox, &cluster, &nodes).await;
        agents_answer(&sandbox, &cluster).await;
        sandbox
            .bare(&["verify", NAME, "--sandbox", "--repo"])
            .arg(root())
            .assert()
            .success()
            .stdout(contains("outside to LoadBalancer").and(contains("pod to pod across nodes")));
        a_hanging_agent_is_noticed_though_the_api_says_otherwise(&sandbox, &cluster).await;
        assert!(Host::look().links == before.links, "the host's own network is never touched");

        // However it ends: what a killed supervisor leaves is found and ended.
        let supervisor = std::fs::read_to_string(sandbox.folder().join("supervisor.pid")).unwrap();
        std::process::Command::new("kill").args(["-9", supervisor.trim()]).status().unwrap();
        assert!(marked() > 10, "its processes live on");
        let collect = || async {
            let output = sandbox.bare(&["sandbox", "gc"]).output().unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            if told.contains("ended what was left of") { Ok(()) } else { Err(told) }
        };
        // Its lock is free once the kernel has ended it.
        let patiently = ConstantBuilder::default().with_delay(Duration::from_millis(100)).with_max_times(50);
        collect.retry(patiently).await.unwrap();
        Host::becomes(&before).await;
    });
}

/// Nothing but the real agents and the real operator could have said this.
async fn nodes_are_as_their_agents_say(cluster: &Cluster, nodes: &[Object]) {
    assert_eq!(nodes.len(), 3);
    for node in nodes {
        let name = node.metadata.name.as_deref().unwrap();
        assert!(node.data["spec"]["taints"].is_null(), "{name}: {}", node.data["spec"]["taints"]);
        let conditions = node.data["status"]["conditions"].as_array().unwrap();
        let of_cilium = conditions.iter().find(|condition| condition["reason"] == "CiliumIsUp").unwrap();
        assert_eq!(
            (&of_cilium["type"], &of_cilium["status"]),
            (&"NetworkUnavailable".into(), &"False".into())
        );
        let own = ObjectRef::cluster_scoped("cilium.io/v2", "CiliumNode", name);
        let own = cluster.get(&own).await.unwrap().unwrap();
        assert!(own.data["spec"]["bootid"].as_str().is_some_and(|id| id.len() == 36), "{}", own.data["spec"]);
        let peers = ObjectRef::cluster_scoped("cilium.io/v2", "CiliumBGPNodeConfig", name);
        let peers = cluster.get(&peers).await.unwrap().unwrap();
        let peer = &peers.data["status"]["bgpInstances"][0]["peers"][0];
        assert_eq!(peer["peeringState"], "established", "{peer}");
        assert_eq!(peer["peerASN"], 64501);
    }
}

async fn the_router_knows_the_way(sandbox: &Sandbox, cluster: &Cluster, nodes: &[Object]) {
    let table: serde_json::Value =
        serde_json::from_str(&sandbox.on("router", &["gobgp", "--json", "global", "rib"])).unwrap();
    let mut expected: BTreeSet<String> =
        nodes.iter().map(|node| node.data["spec"]["podCIDR"].as_str().unwrap().to_owned()).collect();
    // The mesh's own API server, Gateways, whatever the layout declares.
    let services = cluster.list(&Selection::of("v1", "Service")).await.unwrap();
    let address = |service: &Object| {
        let address = service.data["status"]["loadBalancer"]["ingress"][0]["ip"].as_str()?;
        Some((service.metadata.name.clone()?, address.to_owned()))
    };
    let addresses: BTreeMap<String, String> = services.iter().filter_map(address).collect();
    expected.extend(addresses.values().map(|address| format!("{address}/32")));
    let address = &addresses["clustermesh-apiserver"];
    let known: BTreeSet<String> = table.as_object().unwrap().keys().cloned().collect();
    assert_eq!(known, expected);
    let next_hops = table[format!("{address}/32")].as_array().unwrap().len();
    assert_eq!(next_hops, nodes.len(), "every node offers the load balancer's address");
    // The mesh's own etcd answers there, in a pod that the real plugin has wired.
    sandbox.on("router", &["agnhost", "connect", &format!("{address}:2379"), "--timeout=5s"]);
}

async fn agents_answer(sandbox: &Sandbox, cluster: &Cluster) {
    let agents = Selection::of("v1", "Pod").within("kube-system").labelled("k8s-app=cilium");
    let agent = cluster.list(&agents).await.unwrap().remove(0);
    let name = agent.metadata.name.as_deref().unwrap();
    // Not all is well, truly: the mesh's other cluster is not there.
    let status = sandbox.kubectl_exec(name, &["cilium-dbg", "status"]).await;
    let says = |what: &str, how: &str| {
        status.lines().any(|line| line.starts_with(what) && line.split_whitespace().nth(1) == Some(how))
    };
    assert!(
        says("Kubernetes:", "Ok") && says("Cilium:", "Ok") && says("KubeProxyReplacement:", "True"),
        "{status}"
    );
    let peers = sandbox.kubectl_exec(name, &["cilium-dbg", "bgp", "peers"]).await;
    assert!(peers.contains("established") && peers.contains("64501"), "{peers}");
}

/// Its session stays `established` in the API: nobody is there to say otherwise.
async fn a_hanging_agent_is_noticed_though_the_api_says_otherwise(sandbox: &Sandbox, cluster: &Cluster) {
    sandbox.bare(&["sandbox", "fault", NAME, "agent-hangs", "--machine", "infra-2"]).assert().success();
    let status = || {
        let mut command = sandbox.bare(&["status", NAME, "--sandbox", "--repo"]);
        command.arg(root()).output().unwrap()
    };
    let patiently = ConstantBuilder::default().with_delay(Duration::from_secs(1)).with_max_times(60);
    let is_noticed = || async {
        let told = String::from_utf8(status().stdout).unwrap();
        if told.contains("2 of 3 nodes have an agent") { Ok(()) } else { Err(told) }
    };
    is_noticed.retry(patiently).await.unwrap();
    let config = ObjectRef::cluster_scoped("cilium.io/v2", "CiliumBGPNodeConfig", "infra-2");
    let config = cluster.get(&config).await.unwrap().unwrap();
    assert_eq!(config.data["status"]["bgpInstances"][0]["peers"][0]["peeringState"], "established");

    sandbox.bare(&["sandbox", "heal", NAME]).assert().success();
    let is_well = || async {
        let output = status();
        if output.status.success() { Ok(()) } else { Err(String::from_utf8(output.stdout).unwrap()) }
    };
    is_well.retry(patiently).await.unwrap();
}

impl Sandbox {
    /// What a command in an agent's pod writes, through the API server, as `kubectl exec` does.
    async fn kubectl_exec(&self, pod: &str, command: &[&str]) -> String {
        use tokio::io::AsyncReadExt as _;
        let kubeconfig = kube::config::Kubeconfig::read_from(self.folder().join("kubeconfig")).unwrap();
        let config =
            kube::Config::from_custom_kubeconfig(kubeconfig, &kube::config::KubeConfigOptions::default())
                .await
                .unwrap();
        let pods: kube::Api<k8s_openapi::api::core::v1::Pod> =
            kube::Api::namespaced(kube::Client::try_from(config).unwrap(), "kube-system");
        let parameters = kube::api::AttachParams::default().container("cilium-agent").stderr(false);
        let mut process = pods.exec(pod, command.iter().copied(), &parameters).await.unwrap();
        let status = process.take_status().unwrap();
        let mut text = String::new();
        process.stdout().unwrap().read_to_string(&mut text).await.unwrap();
        let status = status.await.unwrap();
        assert_eq!(status.status.as_deref(), Some("Success"), "{status:?} {text}");
        text
    }
}

fn a_sandbox_that_goes_down_leaves_no_trace() {
    let before = Host::look();
    let sandbox = Sandbox::new();
    sandbox.bare(&["sandbox", "up", NAME, "--repo"]).arg(root()).assert().success();
    assert_ne!(Host::look(), before);
    sandbox.bare(&["sandbox", "down", NAME]).assert().success();
    block_on(Host::becomes(&before));
}
