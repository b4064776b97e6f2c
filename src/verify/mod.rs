//! Whether the pods of a cluster can talk: `cilium connectivity test` in miniature. Two pods on two
//! nodes, one Service, a handful of connections; all of it is gone again afterwards.

mod checks;
mod objects;

use std::time::Duration;

use async_trait::async_trait;
pub use checks::{Check, Outcome};
use futures::StreamExt as _;

use crate::cluster::Cluster;
use crate::failure::{Failure, FailureKind, Result};
use crate::object::{ObjectRef, Selection};
use crate::readiness;

/// How long pods and addresses may take to come. An agent that has just started lets no new pod
/// through before it has heard of every declared mesh peer, or a minute has passed
/// (`clustermesh-sync-timeout`).
const PATIENCE: Duration = Duration::from_secs(100);

/// Someone who is not in the cluster.
#[async_trait]
pub trait Outside: Send + Sync {
    /// Who it is.
    fn name(&self) -> &'static str;
    /// Connects to `address:port`; why it could not.
    async fn connect(&self, address: &str) -> Result<(), String>;
}

/// Runs every check. What it made is gone by the end, however that comes.
pub async fn verify(cluster: &Cluster, outside: &dyn Outside) -> Result<Vec<Outcome>> {
    let nodes = ready_nodes(cluster).await?;
    for object in objects::all(&nodes) {
        cluster.apply(&object, true).await?;
    }
    let outcomes = match tokio::time::timeout(PATIENCE, settled(cluster)).await {
        Ok(()) => checks::run(cluster, outside).await,
        Err(_) => Err(unsettled(cluster).await),
    };
    let removed = cluster.delete(&objects::namespace()).await;
    let outcomes = outcomes?;
    removed?;
    Ok(outcomes)
}

/// Two nodes to talk between; one if there is only one.
async fn ready_nodes(cluster: &Cluster) -> Result<Vec<String>> {
    let nodes = cluster.list(&Selection::of("v1", "Node")).await?;
    let ready = nodes.iter().filter(|node| readiness::verdict(node).is_ready());
    let names: Vec<String> = ready.filter_map(|node| node.metadata.name.clone()).collect();
    match names.as_slice() {
        [] => Err(Failure::step("no node is ready: there is nothing to verify")),
        [only] => Ok(vec![only.clone(), only.clone()]),
        [first, .., last] => Ok(vec![first.clone(), last.clone()]),
    }
}

/// Ends once the pods are ready and the Service has its addresses.
async fn settled(cluster: &Cluster) {
    let mut states = cluster.follow(objects::awaited());
    while let Some(state) = states.next().await {
        let is_ready = state
            .values()
            .all(|object| object.as_ref().is_some_and(|object| readiness::verdict(object).is_ready()));
        if is_ready {
            return;
        }
    }
}

async fn unsettled(cluster: &Cluster) -> Failure {
    let mut failure = Failure::new(
        FailureKind::Deadline,
        format!("what the checks need is not ready after {} s", PATIENCE.as_secs()),
    );
    for id in objects::awaited() {
        let verdict = match cluster.get(&id).await {
            Ok(Some(object)) => readiness::verdict(&object),
            Ok(None) => readiness::Verdict::not_yet("it is not there"),
            Err(failure) => readiness::Verdict::not_yet(failure.to_string()),
        };
        for reason in verdict.reasons() {
            failure = failure.because(format!("{id}: {reason}"));
        }
    }
    failure
}

/// The address of an object's field, or why the checks cannot go on.
async fn field(cluster: &Cluster, id: &ObjectRef, pointer: &str) -> Result<String> {
    let object = cluster.get(id).await?;
    let value = object.as_ref().and_then(|object| object.data.pointer(pointer));
    let text = value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    text.ok_or_else(|| Failure::step(format!("{id} has no {pointer}")))
}
