//! The connections to test, and their outcomes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use backon::{ConstantBuilder, Retryable as _};
use futures::future::join_all;
use serde::Serialize;

use super::objects::{CONTAINER, PODS, pod, pod_port, service, service_of};
use super::{Member, field, packet};
use bootstrapper_core::failure::{Failure, Result};

/// A connection to test.
struct Check {
    /// What it shows.
    name: &'static str,
    /// The client pod; none for a client outside the cluster.
    from: Option<&'static str>,
    /// The server: `address:port`.
    to: String,
    /// What the client sends.
    sends: Sends,
    /// For how long it may be retried.
    retry_for: Duration,
}

impl Check {
    /// How often it is tested: with some packet loss most connections succeed, and one is slow.
    fn times(&self) -> usize {
        if self.sends == Sends::Pages { 5 } else { 1 }
    }
}

/// What a check sends, and must receive back.
#[derive(PartialEq)]
enum Sends {
    /// More than one packet, over TCP, which finds a path around links that drop large packets, given time.
    Pages,
    /// One UDP packet of the maximum size of the client's link; and one back.
    LargestPacket,
}

/// The outcome of a check.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// Its cluster.
    pub cluster: String,
    /// What was tested.
    pub check: &'static str,
    /// The client, or the queried program.
    pub from: String,
    /// The server, or the subject of the query.
    pub to: String,
    /// Why it failed, if it did.
    pub problem: Option<String>,
    /// A remark on a successful check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    /// The duration of a connection, the slowest of several.
    pub milliseconds: Option<u128>,
}

impl Outcome {
    /// Connections could not be tested.
    pub(super) fn unprepared(member: &Member, failure: &Failure) -> Self {
        let told = std::iter::once(&failure.what).chain(&failure.because);
        Self {
            cluster: member.name.clone(),
            check: "two pods and a Service",
            from: String::new(),
            to: String::new(),
            problem: Some(told.cloned().collect::<Vec<_>>().join("; ")),
            remark: None,
            milliseconds: None,
        }
    }
}

/// The size of the message that is sent and must come back: more than one packet, to find paths that drop large
/// ones.
const BYTES: usize = 4096;

/// The timeout of a connection.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The timeout of a program in a pod: longer than any of its own timeouts.
const LIMIT: Duration = Duration::from_secs(15);

/// How long a cluster may take to learn of another's pods, once these are ready.
const PEER_SYNC: Duration = Duration::from_secs(10);
const PAUSE: ConstantBuilder = ConstantBuilder::new().with_delay(Duration::from_secs(1)).without_max_times();

/// Tests every connection, including those to these clusters of its mesh. One after the other, so that none
/// slows down another; once one has failed, the speed of the others no longer matters.
pub(super) async fn run(member: &Member, peers: &BTreeSet<&String>) -> Result<Vec<Outcome>> {
    let mut checks = all(member, peers).await?.into_iter();
    let mut outcomes = Vec::new();
    for check in checks.by_ref() {
        outcomes.push(outcome(member, check).await);
        if outcomes.last().is_some_and(|outcome| outcome.problem.is_some()) {
            break;
        }
    }
    outcomes.extend(join_all(checks.map(|check| outcome(member, check))).await);
    Ok(outcomes)
}

async fn outcome(member: &Member, check: Check) -> Outcome {
    let attempt = async || {
        let started = Instant::now();
        connect(member, &check).await.map(|()| started.elapsed().as_millis())
    };
    let began = Instant::now();
    let mut result = attempt.retry(PAUSE).when(|_| began.elapsed() < check.retry_for).await;
    for _ in 1..check.times() {
        let Ok(slowest) = result else { break };
        result = attempt().await.map(|took| took.max(slowest));
    }
    Outcome {
        cluster: member.name.clone(),
        check: check.name,
        from: check.from.map_or_else(|| member.outside.name().to_owned(), |name| format!("pod {name}")),
        to: check.to,
        // The time to query the pod is much longer than that of a packet.
        milliseconds: result.as_ref().ok().copied().filter(|_| check.sends == Sends::Pages),
        problem: result.err(),
        remark: None,
    }
}

async fn connect(member: &Member, check: &Check) -> Result<(), String> {
    let url = format!("http://{}/echo?msg={}", check.to, "x".repeat(BYTES));
    match (check.from, &check.sends) {
        (Some(name), Sends::Pages) => fetched(member, name, &url, TIMEOUT).await.map(drop),
        (Some(name), Sends::LargestPacket) => packet::largest_there_and_back(member, name, &check.to).await,
        (None, _) => member.outside.fetch(&url).await,
    }
}

async fn all(member: &Member, peers: &BTreeSet<&String>) -> Result<Vec<Check>> {
    let cluster = &member.cluster;
    let [here, there] = PODS;
    let port = pod_port();
    let to_pod = |address: &str| format!("{address}:{port}");
    let address_here = field(cluster, &pod(here), "/status/podIP").await?;
    let address_there = field(cluster, &pod(there), "/status/podIP").await?;
    let node_there = field(cluster, &pod(there), "/status/hostIP").await?;
    let cluster_ip = field(cluster, &service(), "/spec/clusterIP").await?;
    let node_port = field(cluster, &service(), "/spec/ports/0/nodePort").await?;
    let balancer = field(cluster, &service(), "/status/loadBalancer/ingress/0/ip").await?;
    let check = |name, from, to| Check { name, from, to, sends: Sends::Pages, retry_for: Duration::ZERO };
    let packet =
        |from, to| Check { sends: Sends::LargestPacket, ..check("largest packet, by UDP", from, to) };
    let mut checks = vec![
        check("pod to pod across nodes", Some(here), to_pod(&address_there)),
        check("and back", Some(there), to_pod(&address_here)),
        packet(Some(here), address_there),
        packet(Some(there), address_here),
        check("pod to ClusterIP", Some(here), format!("{cluster_ip}:80")),
        check("pod to NodePort", Some(here), format!("{node_there}:{node_port}")),
        check("outside to NodePort", None, format!("{node_there}:{node_port}")),
        check("outside to LoadBalancer", None, format!("{balancer}:80")),
    ];
    for peer in peers {
        let address = field(cluster, &service_of(peer), "/spec/clusterIP").await?;
        checks.push(Check {
            name: "pod to another cluster's, by a global Service",
            from: Some(here),
            to: format!("{address}:80"),
            sends: Sends::Pages,
            retry_for: PEER_SYNC,
        });
    }
    Ok(checks)
}

/// What a pod received from a page.
pub(super) async fn fetched(
    member: &Member,
    name: &str,
    url: &str,
    timeout: Duration,
) -> Result<String, String> {
    run_in(member, name, &["wget", "-q", "-T", &timeout.as_secs().to_string(), "-O", "-", url]).await
}

/// The output of a program in a pod.
pub(super) async fn run_in(member: &Member, name: &str, command: &[&str]) -> Result<String, String> {
    let executed = member.cluster.exec(&pod(name), CONTAINER, command, LIMIT).await;
    let executed = executed.map_err(|failure| failure.to_string())?;
    if executed.succeeded {
        return Ok(executed.stdout);
    }
    let told = executed.stderr.trim();
    Err(if told.is_empty() { "no connection".to_owned() } else { told.to_owned() })
}
