//! Tests pod connectivity between clusters: a small `cilium connectivity test`. Two pods on two nodes of each
//! cluster, a few Services, some connections; everything is removed afterwards. Also checks each cluster's BGP
//! sessions, the MTU of its nodes' links, and its connections to the other clusters of its mesh; those clusters
//! also connect to each other's pods.

mod agents;
mod checks;
mod links;
mod mesh;
mod objects;
mod packet;
mod router;

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use agents::Agents;
use async_trait::async_trait;
pub use checks::Outcome;
use futures::future::{join_all, ready, select_all, try_join_all};
use futures::{FutureExt as _, Stream, StreamExt as _, TryStreamExt as _};

use bootstrapper_cluster::cilium;
use bootstrapper_cluster::{Cluster, Followed, seen};
use bootstrapper_core::failure::{Failure, FailureKind, Result, Retry};
use bootstrapper_core::object::{Complete, Object, ObjectRef, Selection};
use bootstrapper_readiness as readiness;

/// How long to wait for pods and addresses: the report must be complete within a minute. An agent that has just
/// started admits no new pod before it has synced with every declared mesh peer, or a minute has passed
/// (`clustermesh-sync-timeout`); a verification that early reports that, and can be repeated.
const TIMEOUT: Duration = Duration::from_secs(40);

/// A cluster to verify.
pub struct Member {
    /// Its name.
    pub name: String,
    /// The cluster.
    pub cluster: Cluster,
    /// A client outside it.
    pub outside: Box<dyn Outside>,
}

/// A client outside the cluster.
#[async_trait]
pub trait Outside: Send + Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// Fetches a page, or returns why it could not.
    async fn fetch(&self, url: &str) -> Result<(), String>;
}

/// Runs every check. Removes its objects in any case.
pub async fn verify(members: &[Member]) -> Result<Vec<Outcome>> {
    let outcomes = tokio::select! {
        biased;
        failure = taken_away(members) => Err(failure),
        outcomes = prepare_and_check(members) => outcomes,
    };
    let namespace = objects::namespace();
    let removed = join_all(members.iter().map(|member| member.cluster.delete(&namespace))).await;
    let outcomes = outcomes?;
    removed.into_iter().collect::<Result<Vec<()>>>()?;
    Ok(outcomes)
}

/// Returns if the objects of the checks are deleted by someone else: findings without them are meaningless.
/// says nothing.
async fn taken_away(members: &[Member]) -> Failure {
    let watched = members.iter().map(|member| {
        let states = member.cluster.follow(vec![objects::namespace()]);
        let states = seen(states).map(|state| State::of(state.values().flatten().next()));
        has_gone(states).map(move |()| member).boxed()
    });
    let (member, ..) = select_all(watched).await;
    Failure::step(format!(
        "the checks of {} did not finish: the objects that they need were deleted",
        member.name
    ))
    .because(format!("{} was deleted while they ran", objects::namespace()))
    .hint("retry when no other verification of the cluster is running")
}

/// Whether an object exists.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Absent,
    Alive,
    Leaving,
}

impl State {
    fn of(object: Option<&Arc<Object>>) -> Self {
        match object {
            None => Self::Absent,
            Some(object) if object.metadata.deletion_timestamp.is_none() => Self::Alive,
            Some(_) => Self::Leaving,
        }
    }
}

/// Returns once the objects are deleted; a stream that ends without a deletion does not count. If an object is
/// deleted quickly, a watch may never have reported it.
async fn has_gone(mut states: impl Stream<Item = State> + Unpin) {
    let mut before = None;
    while let Some(now) = states.next().await {
        match (before, now) {
            (Some(State::Alive), State::Absent | State::Leaving) | (Some(State::Absent), State::Leaving) => {
                return;
            }
            _ => before = Some(now),
        }
    }
    pending::<()>().await;
}

async fn prepare_and_check(members: &[Member]) -> Result<Vec<Outcome>> {
    let names = try_join_all(members.iter().map(name_in_mesh)).await?;
    let named = || members.iter().zip(&names);
    let prepared = join_all(named().map(|(member, name)| prepare(member, name, &names)));
    let asked = try_join_all(named().map(|(member, name)| ask(member, name)));
    let (prepared, asked) = tokio::join!(prepared, asked);
    let checked = named().zip(asked?).zip(prepared).map(async |(((member, _), asked), prepared)| {
        let (mut outcomes, peers) = asked;
        match prepared {
            Ok(()) => {
                let callable = peers.iter().filter(|peer| names.contains(peer)).collect();
                outcomes.extend(checks::run(member, &callable).await?);
            }
            Err(failure) => outcomes.push(Outcome::unprepared(member, &failure)),
        }
        Ok(outcomes)
    });
    Ok(try_join_all(checked).await?.concat())
}

async fn name_in_mesh(member: &Member) -> Result<String> {
    let name = cilium::cluster_name(&member.cluster).await?;
    Ok(name.unwrap_or_else(|| member.name.clone()))
}

/// The outcomes of the cluster's sessions, links and mesh; and its mesh peers.
async fn ask(member: &Member, name: &str) -> Result<(Vec<Outcome>, BTreeSet<String>)> {
    let agents = Agents::of(&member.cluster).await?;
    let peers = cilium::peers(&member.cluster, name).await?;
    let (sessions, sizes, mesh) = tokio::join!(
        router::sessions(member, &agents),
        links::sizes(member, &agents),
        mesh::sessions(member, &peers)
    );
    Ok(([sessions?, sizes, mesh?].concat(), peers))
}

/// Creates the objects of the checks in a cluster, and waits until they are ready.
async fn prepare(member: &Member, name: &str, names: &[String]) -> Result<()> {
    let nodes = ready_nodes(&member.cluster).await?;
    let make_and_settle = async {
        vacated(&member.cluster).await?;
        for object in objects::all(name, &nodes, names) {
            member.cluster.apply(&Complete::of_own(object), true).await?;
        }
        settled(&member.cluster).await
    };
    match tokio::time::timeout(TIMEOUT, make_and_settle).await {
        Ok(outcome) => outcome,
        Err(_) => Err(unsettled(member).await),
    }
}

/// Returns once the objects of earlier checks are deleted.
async fn vacated(cluster: &Cluster) -> Result<()> {
    let namespace = objects::namespace();
    let mut states = lasting(cluster.follow(vec![namespace.clone()]));
    while let Some(state) = states.try_next().await? {
        let found = state.get(&namespace).cloned().flatten();
        if found.is_none_or(|found| found.metadata.deletion_timestamp.is_none()) {
            break;
        }
    }
    Ok(())
}

/// Transient errors are waited out; others end the wait.
fn lasting<T: Send + 'static>(followed: Followed<T>) -> Followed<T> {
    let is_told =
        |told: &Result<T>| told.as_ref().err().is_none_or(|failure| failure.retry == Retry::Useless);
    followed.filter(move |told| ready(is_told(told))).boxed()
}

/// Two nodes to test between, or one if there is only one.
async fn ready_nodes(cluster: &Cluster) -> Result<Vec<String>> {
    let nodes = cluster.list(&Selection::of("v1", "Node")).await?;
    let ready = nodes.iter().filter(|node| readiness::verdict(node).is_ready());
    // Kubernetes reports a node without heartbeats as ready for a while.
    let agents = Agents::of(cluster).await?;
    let names = ready.filter_map(|node| node.metadata.name.clone());
    let names: Vec<String> = names.filter(|name| agents.silence(name).is_none()).collect();
    match names.as_slice() {
        [] => Err(Failure::step("no node is ready: there is nothing to verify")),
        [only] => Ok(vec![only.clone(), only.clone()]),
        [first, .., last] => Ok(vec![first.clone(), last.clone()]),
    }
}

/// Returns once the pods are ready and the Service has its addresses.
async fn settled(cluster: &Cluster) -> Result<()> {
    let mut states = lasting(cluster.follow(objects::awaited()));
    while let Some(state) = states.try_next().await? {
        let is_ready = state
            .values()
            .all(|object| object.as_ref().is_some_and(|object| readiness::verdict(object).is_ready()));
        if is_ready {
            break;
        }
    }
    Ok(())
}

async fn unsettled(member: &Member) -> Failure {
    let mut failure = Failure::new(
        FailureKind::Deadline,
        format!(
            "the objects that the checks need in {} are not ready after {} s",
            member.name,
            TIMEOUT.as_secs()
        ),
    );
    for id in objects::awaited() {
        let verdict = match member.cluster.get(&id).await {
            Ok(Some(object)) => readiness::verdict(&object),
            Ok(None) => readiness::Verdict::not_yet("not found"),
            Err(failure) => readiness::Verdict::not_yet(failure.to_string()),
        };
        failure = verdict.of(&id).reasons().iter().fold(failure, Failure::because);
    }
    failure
}

/// The value of an object's field, or why the checks cannot continue.
async fn field(cluster: &Cluster, id: &ObjectRef, pointer: &str) -> Result<String> {
    let object = cluster.get(id).await?;
    let value = object.as_ref().and_then(|object| object.data.pointer(pointer));
    let text = value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    text.ok_or_else(|| Failure::step(format!("{id} has no {pointer}")))
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    #[test]
    fn a_missing_object_after_an_existing_one_is_a_deletion() {
        use State::{Absent, Alive, Leaving};
        let gone = |states: &[State]| has_gone(stream::iter(states.to_vec())).now_or_never().is_some();
        assert!(gone(&[Absent, Alive, Leaving]) && gone(&[Alive, Alive, Absent]) && gone(&[Absent, Leaving]));
        // An earlier one is being deleted; then it is created, and remains.
        assert!(
            !gone(&[Leaving, Absent, Alive, Alive]) && !gone(&[Leaving, Alive]) && !gone(&[Absent, Absent])
        );
    }
}
