//! The connections that are tried, from where, and how each went.

use std::time::{Duration, Instant};

use kube::Api;
use kube::api::AttachParams;
use serde::Serialize;
use tokio::io::AsyncReadExt as _;

use super::objects::{PODS, pod, pod_port, service};
use super::{Outside, field};
use crate::cluster::Cluster;
use crate::failure::{Failure, Result};

/// A connection to be tried.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What it shows.
    pub name: &'static str,
    /// The pod that calls; the outside if there is none.
    #[serde(skip)]
    from: Option<&'static str>,
    /// Who is called: `address:port`.
    pub to: String,
}

/// How a check went.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// What was tried.
    #[serde(flatten)]
    pub check: Check,
    /// Who called.
    pub from: String,
    /// Why it did not work, if it did not.
    pub problem: Option<String>,
    /// How long it took.
    pub milliseconds: u128,
}

/// Tries every connection, one after the other.
pub(super) async fn run(cluster: &Cluster, outside: &dyn Outside) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for check in all(cluster).await? {
        let started = Instant::now();
        let (from, result) = match check.from {
            Some(name) => (format!("pod {name}"), from_pod(cluster, name, &check.to).await),
            None => (outside.name().to_owned(), outside.connect(&check.to).await),
        };
        let milliseconds = started.elapsed().as_millis();
        outcomes.push(Outcome { check, from, problem: result.err(), milliseconds });
    }
    Ok(outcomes)
}

async fn all(cluster: &Cluster) -> Result<Vec<Check>> {
    let [here, there] = PODS;
    let port = pod_port();
    let to_pod = |address: String| format!("{address}:{port}");
    let address_here = field(cluster, &pod(here), "/status/podIP").await?;
    let address_there = field(cluster, &pod(there), "/status/podIP").await?;
    let node_there = field(cluster, &pod(there), "/status/hostIP").await?;
    let cluster_ip = field(cluster, &service(), "/spec/clusterIP").await?;
    let node_port = field(cluster, &service(), "/spec/ports/0/nodePort").await?;
    let balancer = field(cluster, &service(), "/status/loadBalancer/ingress/0/ip").await?;
    let check = |name, from, to| Check { name, from, to };
    Ok(vec![
        check("pod to pod across nodes", Some(here), to_pod(address_there)),
        check("and back", Some(there), to_pod(address_here)),
        check("pod to ClusterIP", Some(here), format!("{cluster_ip}:80")),
        check("pod to NodePort", Some(here), format!("{node_there}:{node_port}")),
        check("outside to NodePort", None, format!("{node_there}:{node_port}")),
        check("outside to LoadBalancer", None, format!("{balancer}:80")),
    ])
}

/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(5);

async fn from_pod(cluster: &Cluster, name: &str, to: &str) -> Result<(), String> {
    let id = pod(name);
    let pods: Api<k8s_openapi::api::core::v1::Pod> =
        Api::namespaced(cluster.client(), id.namespace.as_deref().unwrap_or_default());
    let timeout = format!("--timeout={}s", PATIENCE.as_secs());
    let told = |error: kube::Error| {
        Failure::step(format!("nothing can be run in {id}")).caused_by(&error).to_string()
    };
    let words = ["agnhost", "connect", to, &timeout];
    let mut process = pods.exec(name, words, &AttachParams::default()).await.map_err(told)?;
    let mute = || format!("{id} does not say how it went");
    let (status, stderr) = (process.take_status(), process.stderr());
    let (Some(status), Some(mut stderr)) = (status, stderr) else { return Err(mute()) };
    let mut reason = String::new();
    // What cannot be read of it is not told.
    let _ = stderr.read_to_string(&mut reason).await;
    let status = status.await.ok_or_else(mute)?;
    if status.status.as_deref() == Some("Success") {
        return Ok(());
    }
    Err(if reason.trim().is_empty() { status.message.unwrap_or_else(mute) } else { reason })
}
