//! Checks whether a cluster is connected to its declared mesh peers.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use backon::{ConstantBuilder, Retryable as _};
use futures::future::join_all;

use super::{Member, Outcome};
use bootstrapper_cluster::Cluster;
use bootstrapper_cluster::cilium::{Listeners, listeners};
use bootstrapper_core::failure::{Failure, Result};

/// How long to wait for a program that reports no error: it reconnects within a minute after a peer was down,
/// and the report must be complete within one.
const TIMEOUT: Duration = Duration::from_secs(30);
const PAUSE: ConstantBuilder = ConstantBuilder::new().with_delay(Duration::from_secs(1)).without_max_times();

/// Queries each program that should be connected to `peers`; one outcome for each kind of program and peer.
pub(super) async fn sessions(member: &Member, peers: &BTreeSet<String>) -> Result<Vec<Outcome>> {
    if peers.is_empty() {
        return Ok(Vec::new());
    }
    let listeners = listeners(&member.cluster).await?;
    Ok(join_all(peers.iter().map(|peer| of_peer(member, peer, &listeners))).await.concat())
}

/// If kvstoremesh is not connected, agents cannot be: they are not waited for.
async fn of_peer(member: &Member, peer: &str, listeners: &[Listeners]) -> Vec<Outcome> {
    let until = Instant::now() + TIMEOUT;
    let mut outcomes = Vec::new();
    let mut earlier_program: Option<&str> = None;
    for listeners in listeners {
        let ask = || ask(&member.cluster, listeners, peer);
        let may_end = |problem: &NotConnected| {
            earlier_program.is_none() && problem.has_no_error && Instant::now() < until
        };
        let answer = ask.retry(PAUSE).when(may_end).await;
        let problem = answer.err().map(|problem| problem.describe(earlier_program));
        earlier_program = problem.as_ref().map(|_| listeners.name());
        outcomes.push(Outcome {
            cluster: member.name.clone(),
            check: "mesh",
            from: format!("{} {}", listeners.count(), listeners.name()),
            to: peer.to_owned(),
            problem,
            remark: None,
            milliseconds: None,
        });
    }
    outcomes
}

/// Why a program is not connected to a peer.
struct NotConnected {
    why: String,
    /// Whether it reports no error, and may only need time.
    has_no_error: bool,
}

impl NotConnected {
    fn of(failure: &Failure) -> Self {
        Self { why: failure.to_string(), has_no_error: false }
    }

    fn describe(self, earlier_program: Option<&str>) -> String {
        match earlier_program {
            Some(other) if self.has_no_error => format!("{}, as {other} is not", self.why),
            None if self.has_no_error => format!("{}, and they find nothing wrong", self.why),
            _ => self.why,
        }
    }
}

/// Queries all pods of a program about one peer.
async fn ask(cluster: &Cluster, listeners: &Listeners, peer: &str) -> Result<(), NotConnected> {
    let count = listeners.count();
    if count == 0 {
        return Err(NotConnected { why: "none runs".to_owned(), has_no_error: false });
    }
    let deaf =
        listeners.not_connected_to(cluster, peer).await.map_err(|failure| NotConnected::of(&failure))?;
    let Some(first) = deaf.first() else { return Ok(()) };
    let fault = listeners.fault(cluster, first, peer).await.map_err(|failure| NotConnected::of(&failure))?;
    let has_no_error = fault.is_none();
    let told = fault.map_or_else(|| " are not ready with it".to_owned(), |fault| format!(": {fault}"));
    Err(NotConnected { why: format!("{} of {count}{told}", deaf.len()), has_no_error })
}
