//! The main job on a real network: real agents, a real router, a mesh of two clusters, and nothing
//! left behind.
//!
//! `cargo test --test network every_fault -- --ignored` makes every fault there is a verb for, and tells what is
//! said of each and after how long; with `NETWORK_WRITE` set, it writes that to `docs/design/network-faults.md`.
//!
//! It needs root, BPF and a compiler. Where a machine cannot have that, each test here is told as
//! ignored, by name and count, with what is missing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;
mod database;
mod fault;
mod host;
mod site;
#[path = "../strangers/mod.rs"]
mod strangers;

use std::collections::{BTreeMap, BTreeSet};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use backon::{ConstantBuilder, Retryable as _};
use bootstrapper::cluster::Cluster;
use bootstrapper::object::{Object, ObjectRef, Selection};
use bootstrapper::sandbox::{self, RouterProgram};
use fault::{OF_THE_ROUTER, OTHER_AUTHORITY, OTHERS, Rehearsed, SMALL_MTU};
use host::Host;
use libtest_mimic::{Arguments, Trial};
use predicates::prelude::*;
use predicates::str::contains;
use site::{CLUSTERS, POLICY, Site};
use strangers::probe::probe_all;
use strangers::sockets;
use strangers::{its_files_are_its_owners, nobody_enters_its_networks};

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let (usual, frr) = (RouterProgram::default(), RouterProgram::Frr);
    let tests: [(&str, fn(), RouterProgram); 5] = [
        (
            "two_clusters_of_a_mesh_hold_on_a_real_network",
            two_clusters_of_a_mesh_hold_on_a_real_network,
            usual,
        ),
        (ONE_CLUSTER, one_cluster_says_what_is_wrong_with_its_network, usual),
        ("frr_is_a_router_as_well", frr_is_a_router_as_well, frr),
        (
            "a_sandbox_leaves_no_trace_whenever_it_is_killed",
            a_sandbox_leaves_no_trace_whenever_it_is_killed,
            usual,
        ),
        (EVERY_FAULT, every_fault_is_named, usual),
    ];
    let trial = |(name, test, router): (&str, fn(), RouterProgram)| {
        let missing = sandbox::missing(router);
        for lack in &missing {
            eprintln!("{name} is not run here: this machine lacks {lack}");
        }
        let run = move || {
            test();
            Ok(())
        };
        Trial::test(name, run).with_ignored_flag(!missing.is_empty() || ASKED_FOR_BY_NAME.contains(&name))
    };
    // One at a time: they look at what is on the whole machine.
    let arguments = Arguments { test_threads: Some(1), ..arguments };
    libtest_mimic::run(&arguments, tests.into_iter().map(trial).collect()).exit_code()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(future)
}

const VERIFY: [&str; 4] = ["verify", "infra", "apps", "--sandbox"];

fn two_clusters_of_a_mesh_hold_on_a_real_network() {
    let site = Site::of_two_subnets();
    let before = Host::look(site.state());
    site.about(&["infra", "apps", "--sandbox", "--progress", "plain", "-v"])
        .assert()
        .success()
        .stderr(contains("each node is a network namespace with its own Cilium agent"));
    block_on(async {
        let infra = site.cluster("infra").await;
        let apps = site.cluster("apps").await;
        for cluster in [&infra, &apps] {
            nodes_are_as_their_agents_say(cluster).await;
        }
        the_router_knows_the_way(&site, &[&infra, &apps], &site::table(&site, "infra")).await;
        for cluster in [&infra, &apps] {
            the_way_to_another_subnet_is_the_router(&site, cluster).await;
        }
        // Its pods are on the first and on the last node: in the two subnets.
        site.until_well(&VERIFY).await;
        site.about(&VERIFY).assert().success().stdout(
            contains("outside to LoadBalancer")
                .and(contains("pod to another cluster's, by a global Service").count(2)),
        );
        agents_answer(&infra, "apps").await;
        database::a_tenant_reaches_the_database_of_another_cluster(&site, &infra, &apps).await;
        nobody_else_gets_an_answer(&site);
        assert!(Host::look(site.state()).links == before.links, "the host's own network is never touched");

        a_router_that_expects_something_else_is_found(&site, &infra).await;
        an_authority_that_is_not_shared_is_found(&site).await;
        a_hanging_agent_is_noticed_though_the_api_says_otherwise(&site, &infra).await;
        an_api_server_that_is_gone_is_told(&site).await;

        one_that_goes_down_leaves_the_other_whole(&site, &apps).await;
        site.kill_and_collect("apps").await;
        Host::becomes(before).await;
    });
}

/// Nothing but the real agents and the real operator could have said this.
async fn nodes_are_as_their_agents_say(cluster: &Cluster) {
    let nodes = cluster.list(&Selection::of("v1", "Node")).await.unwrap();
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
    }
    assert_eq!(site::sessions(cluster).await, ["established"; 3]);
}

/// One router for both: it has all that either declares, and nothing else.
async fn the_router_knows_the_way(
    site: &Site,
    clusters: &[&Cluster],
    table: &serde_json::Map<String, serde_json::Value>,
) {
    let mut expected = BTreeSet::new();
    let mut mesh = BTreeMap::new();
    for (cluster, name) in clusters.iter().zip(CLUSTERS) {
        let nodes = cluster.list(&Selection::of("v1", "Node")).await.unwrap();
        expected.extend(nodes.iter().map(|node| node.data["spec"]["podCIDR"].as_str().unwrap().to_owned()));
        // The mesh's own API server, Gateways, whatever the layout declares.
        for service in cluster.list(&Selection::of("v1", "Service")).await.unwrap() {
            let address = service.data["status"]["loadBalancer"]["ingress"][0]["ip"].as_str();
            expected.extend(address.map(|address| format!("{address}/32")));
            if service.metadata.name.as_deref() == Some("clustermesh-apiserver") {
                mesh.insert(name, address.unwrap().to_owned());
            }
        }
    }
    assert_eq!(table.keys().cloned().collect::<BTreeSet<String>>(), expected);
    for (name, address) in &mesh {
        let next_hops = table[&format!("{address}/32")].as_array().unwrap().len();
        assert_eq!(next_hops, 3, "every node of {name} offers the load balancer's address");
        // The mesh's own etcd answers there, in a pod that the real plugin has wired.
        site.on("infra", "router", &["timeout", "5", "bash", "-c", &format!("</dev/tcp/{address}/2379")]);
    }
    assert_eq!(mesh.len(), clusters.len());
}

/// Nodes of a subnet have routes to each other's pods; for those of another one they ask the router, which has learned
/// them by BGP.
async fn the_way_to_another_subnet_is_the_router(site: &Site, cluster: &Cluster) {
    let nodes = cluster.list(&Selection::of("v1", "Node")).await.unwrap();
    let place = |node: &Object| {
        let address = node.data["status"]["addresses"][0]["address"].as_str().unwrap().to_owned();
        let pods = node.data["spec"]["podCIDR"].as_str().unwrap().to_owned();
        (node.metadata.name.clone().unwrap(), address, pods)
    };
    let [(first, ..), (_, second, second_pods), (_, last, last_pods)] =
        <[_; 3]>::try_from(nodes.iter().map(place).collect::<Vec<_>>()).unwrap();
    assert!(second.starts_with("10.25.11.") && last.starts_with("10.25.10."), "{second} {last}");
    let name = cluster_of(&first);
    let via = |machine: &str, pods: &str| {
        let address = pods.replace(".0/24", ".9");
        let told = site.on(name, machine, &["ip", "route", "get", &address]);
        let words: Vec<&str> = told.split_whitespace().collect();
        let via = words.iter().position(|word| *word == "via");
        via.map_or_else(|| told.clone(), |at| words[at + 1].to_owned())
    };
    assert_eq!(via(&first, &second_pods), second);
    assert_eq!(via(&first, &last_pods), "10.25.11.1");
    assert_eq!(via("router", &last_pods), last);
}

/// The cluster of a node, by its name.
fn cluster_of(node: &str) -> &str {
    node.rsplit_once('-').unwrap().0
}

async fn agents_answer(cluster: &Cluster, peer: &str) {
    let agent =
        |command: &'static [&'static str]| site::exec(cluster, "k8s-app=cilium", "cilium-agent", command);
    let status = agent(&["cilium-dbg", "status"]).await;
    let says = |what: &str, how: &str| {
        status.lines().any(|line| line.starts_with(what) && line.split_whitespace().nth(1) == Some(how))
    };
    assert!(
        says("Kubernetes:", "Ok")
            && says("Cilium:", "Ok")
            && says("KubeProxyReplacement:", "True")
            && says("ClusterMesh:", "1/1"),
        "{status}"
    );
    let peers = agent(&["cilium-dbg", "bgp", "peers"]).await;
    assert!(peers.contains("established") && peers.contains("64501"), "{peers}");
    let command = ["clustermesh-apiserver", "kvstoremesh-dbg", "troubleshoot", peer];
    let report = site::exec(cluster, "k8s-app=clustermesh-apiserver", "kvstoremesh", &command).await;
    assert!(report.contains("TLS connection successfully established"), "{report}");
}

/// Of real agents, operators and routers, too.
fn nobody_else_gets_an_answer(site: &Site) {
    for folder in CLUSTERS.map(|cluster| site.folder(cluster)) {
        let sockets = sockets::listening(&folder);
        assert!(sockets.len() > 5, "{sockets:#?}");
        let answers = probe_all(&sockets);
        assert!(answers.is_empty(), "somebody else was answered:\n{}", answers.join("\n"));
        nobody_enters_its_networks(&folder);
        its_files_are_its_owners(&folder);
    }
}

async fn a_router_that_expects_something_else_is_found(site: &Site, infra: &Cluster) {
    site.bare(&["sandbox", "fault", "infra", "wrong-password"]).assert().success();
    site::until_sessions_are(infra, "active").await;
    site.about(&["verify", "infra", "--sandbox"]).assert().failure().stdout(contains("wrong password"));
    site.bare(&["sandbox", "heal", "infra"]).assert().success();
    site::until_sessions_are(infra, "established").await;
}

async fn an_authority_that_is_not_shared_is_found(site: &Site) {
    site.bare(&["sandbox", "fault", "apps", "other-authority"]).assert().success();
    site.until(&VERIFY, "do not share a CA").await;
    site.bare(&["sandbox", "heal", "apps"]).assert().success();
    site.until_well(&VERIFY).await;
}

/// Made by hand, since the real cause is a race in the agent. That writes it anew at the next event only, such
/// as a Service that comes or goes.
async fn a_status_that_lags_is_not_believed(site: &Site) {
    let asked: [(&[&str], &str); 4] = [
        (&["status", "infra", "--sandbox", "--only", "cilium"], LAGS),
        (&["verify", "infra", "--sandbox"], LAGS),
        (
            &["doctor", "infra", "--sandbox"],
            "has a BGP session with 10.25.11.1, but the API still reports open_confirm",
        ),
        (&["infra", "--sandbox", "--only", "cilium", "--progress", "plain"], LAGS),
    ];
    for (verb, said) in asked {
        let is_said = || async {
            site.tells_of_session("infra-3", "open_confirm").await;
            let output = site.about(verb).output().unwrap();
            let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            if told.contains(said) { Ok(()) } else { Err(told) }
        };
        is_said.retry(POLICY.with_max_times(5)).await.unwrap();
    }
    site.tells_of_session("infra-3", "established").await;
}

const LAGS: &str =
    "infra-3: its session with 10.25.11.1 is up, according to its agent; the API still reports open_confirm";

/// As another `verify` of the same cluster does, when it ends.
async fn checks_whose_namespace_is_deleted_end_and_say_so(site: &Site, infra: &Cluster) {
    let namespace = ObjectRef::cluster_scoped("v1", "Namespace", "bootstrapper-verify");
    // That of earlier checks may still be on its way out.
    let is_gone =
        || async { infra.get(&namespace).await.unwrap().map_or(Ok(()), |_| Err("it is still there")) };
    is_gone.retry(POLICY).await.unwrap();
    let mut checks = site.command(&["verify", "infra", "--sandbox"]);
    let checks = checks.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let is_there = || async { infra.get(&namespace).await.unwrap().ok_or("it is not made") };
    is_there.retry(POLICY.with_delay(Duration::from_millis(100))).await.unwrap();
    infra.delete(&namespace).await.unwrap();
    let output = checks.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && output.stdout.is_empty(), "{told}");
    assert!(told.contains("the objects that they need were deleted"), "{told}");
    all_but_the_mesh_is_well(site, "infra").await;
}

/// Its session stays `established` in the API: nobody is there to say otherwise.
async fn a_hanging_agent_is_noticed_though_the_api_says_otherwise(site: &Site, infra: &Cluster) {
    const STATUS: [&str; 5] = ["status", "infra", "--sandbox", "--only", "cilium"];
    site.bare(&["sandbox", "fault", "infra", "agent-hangs", "--machine", "infra-2"]).assert().success();
    site.until(&STATUS, "2 of 3 nodes have an agent").await;
    let config = ObjectRef::cluster_scoped("cilium.io/v2", "CiliumBGPNodeConfig", "infra-2");
    let config = infra.get(&config).await.unwrap().unwrap();
    assert_eq!(config.data["status"]["bgpInstances"][0]["peers"][0]["peeringState"], "established");
    site.bare(&["sandbox", "heal", "infra"]).assert().success();
    site.until_well(&STATUS).await;
}

async fn an_api_server_that_is_gone_is_told(site: &Site) {
    const STATUS: [&str; 5] = ["status", "infra", "--sandbox", "--only", "cilium"];
    site.bare(&["sandbox", "fault", "infra", "api-server-gone"]).assert().success();
    site.about(&STATUS).assert().failure().stderr(contains("check that the API server runs"));
    site.bare(&["sandbox", "heal", "infra"]).assert().success();
    site.until_well(&STATUS).await;
}

/// The router was that of the one that goes.
async fn one_that_goes_down_leaves_the_other_whole(site: &Site, apps: &Cluster) {
    site.bare(&["sandbox", "down", "infra"]).assert().success();
    let nodes = apps.list(&Selection::of("v1", "Node")).await.unwrap();
    let range = |node: &Object| node.data["spec"]["podCIDR"].as_str().unwrap().to_owned();
    let ranges: BTreeSet<String> = nodes.iter().map(range).collect();
    let has_a_router = || async {
        let output =
            site.bare(&["sandbox", "exec", "apps", "router", "--", "gobgp", "--json", "global", "rib"]);
        let told = { output }.output().unwrap().stdout;
        let table: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(&told).unwrap_or_default();
        if ranges.iter().all(|range| table.contains_key(range)) { Ok(()) } else { Err(table) }
    };
    has_a_router.retry(POLICY).await.unwrap();
    all_but_the_mesh_is_well(site, "apps").await;
}

/// Its peer is not there.
async fn all_but_the_mesh_is_well(site: &Site, cluster: &str) {
    let connections = || async {
        let output = site.about(&["verify", cluster, "--sandbox", "--output", "json"]).output().unwrap();
        let told: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let own: Vec<_> = told.iter().filter(|one| one["check"] != "mesh").collect();
        let is_whole = own.len() == 10 && own.iter().all(|one| one["problem"].is_null());
        if is_whole { Ok(()) } else { Err(told) }
    };
    connections.retry(POLICY).await.unwrap();
}

/// What no mesh is needed for.
fn one_cluster_says_what_is_wrong_with_its_network() {
    let site = Site::new();
    site.about(&["infra", "--sandbox", "--until", "cilium", "--progress", "plain"]).assert().success();
    block_on(async {
        let infra = site.cluster("infra").await;
        a_status_that_lags_is_not_believed(&site).await;
        checks_whose_namespace_is_deleted_end_and_say_so(&site, &infra).await;
    });
    let all: Vec<_> = OF_THE_ROUTER.iter().chain([&SMALL_MTU]).map(|fault| fault.rehearse(&site)).collect();
    all_is_said(&all);
}

const ONE_CLUSTER: &str = "one_cluster_says_what_is_wrong_with_its_network";
const EVERY_FAULT: &str = "every_fault_is_named";

/// They take their time: what they show first, the suite shows with two clusters.
const ASKED_FOR_BY_NAME: [&str; 2] = [ONE_CLUSTER, EVERY_FAULT];

/// One after the other; the last one takes a mesh.
fn every_fault_is_named() {
    let site = Site::new();
    site.about(&["infra", "--sandbox", "--until", "cilium", "--progress", "plain"]).assert().success();
    let of_one = OF_THE_ROUTER.iter().chain([&SMALL_MTU]).chain(&OTHERS);
    let mut all: Vec<_> = of_one.map(|fault| fault.rehearse(&site)).collect();
    site.about(&["infra", "apps", "--sandbox", "--progress", "plain"]).assert().success();
    block_on(site.until_well(&VERIFY));
    all.push(OTHER_AUTHORITY.rehearse(&site));
    if std::env::var_os("NETWORK_WRITE").is_some() {
        std::fs::write(common::root().join("docs/design/network-faults.md"), fault::page(&all)).unwrap();
    }
    all_is_said(&all);
}

fn all_is_said(rehearsed: &[Rehearsed]) {
    let unsaid: Vec<&str> = rehearsed.iter().flat_map(Rehearsed::unsaid).collect();
    assert!(unsaid.is_empty(), "{}", unsaid.join("\n"));
}

/// Sessions, routes and what comes from outside, as with the usual router.
fn frr_is_a_router_as_well() {
    let site = Site::new();
    let with_frr = ["infra", "--sandbox", "--router", "frr", "--until", "cilium", "--progress", "plain"];
    site.about(&with_frr).assert().success();
    block_on(async {
        let infra = site.cluster("infra").await;
        assert_eq!(site::sessions(&infra).await, ["established"; 3]);
        the_router_knows_the_way(&site, &[&infra], &site::table_of_frr(&site, "infra")).await;
        site.bare(&["sandbox", "fault", "infra", "wrong-password"]).assert().success();
        site::until_sessions_are(&infra, "active").await;
        site.bare(&["sandbox", "heal", "infra"]).assert().success();
        site::until_sessions_are(&infra, "established").await;
    });
}

fn a_sandbox_leaves_no_trace_whenever_it_is_killed() {
    let site = Site::new();
    let mut before = Host::look(site.state());
    let bring_up = ["sandbox", "up", "infra"];
    let network_only = ["infra", "--sandbox", "--until", "cilium"];
    // While namespaces are made; as agents start.
    let moments: [(&[&str], &str, usize); 2] = [(&bring_up, "sleep", 3), (&network_only, "cilium-agent", 1)];
    for (arguments, program, count) in moments {
        let mut run = site.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let policy = ConstantBuilder::default().with_delay(Duration::from_millis(20)).with_max_times(6000);
        let has_come = || async {
            let running = host::marked(site.state()).filter(|name| name == program).count();
            if running >= count { Ok(()) } else { Err(running) }
        };
        before = block_on(async {
            has_come.retry(policy).await.unwrap();
            site.kill_and_collect("infra").await;
            let _ = run.kill();
            run.wait().unwrap();
            Host::becomes(before).await
        });
    }
    // In peace.
    site.about(&bring_up).assert().success();
    assert!(host::marked(site.state()).count() > 10, "it is up");
    site.bare(&["sandbox", "down", "infra"]).assert().success();
    block_on(Host::becomes(before));
}
