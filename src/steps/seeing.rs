//! What a probe has to see, as it changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::stream::{self, BoxStream, SelectAll, StreamExt as _};
use tokio::time::Instant;

use super::explain::{Explainer, Sight};
use crate::cluster::Cluster;
use crate::object::Object;
use crate::readiness::Probe;

/// What a probe has to see, by the index of the selection that found it.
pub(super) type Seen = BTreeMap<usize, Vec<Arc<Object>>>;

/// On a large cluster something changes all the time: judging takes no more than a tenth of it.
const RESTS: u32 = 9;
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Joins the watches of all that a probe needs to see: once each has answered, and then at every change.
pub(super) fn seen_by(cluster: &Cluster, probe: Probe, explainer: &Explainer) -> BoxStream<'static, Seen> {
    let joined = Joined::of(probe.watches().into_iter().map(|selection| cluster.follow_all(selection)));
    let explainer = explainer.clone();
    stream::unfold((joined, None), |(mut joined, told_at)| async move {
        // Whoever comes for more has judged what was told last.
        if let Some(told_at) = told_at {
            rest(told_at).await;
        }
        while !joined.is_whole() {
            joined.see().await?;
        }
        if told_at.is_some() {
            joined.see().await?;
        }
        Some((joined.seen.clone(), (joined, Some(Instant::now()))))
    })
    .inspect(move |seen| explainer.sees(Sight::of(seen.values().flatten())))
    .boxed()
}

async fn rest(told_at: Instant) {
    tokio::time::sleep(LONGEST_REST.min(told_at.elapsed() * RESTS)).await;
}

/// Several watches as one.
pub(super) struct Joined {
    count: usize,
    watches: SelectAll<BoxStream<'static, (usize, Vec<Arc<Object>>)>>,
    /// What each saw last, by its place among them.
    pub(super) seen: Seen,
}

impl Joined {
    pub(super) fn of(watches: impl IntoIterator<Item = BoxStream<'static, Vec<Arc<Object>>>>) -> Self {
        let number = |(index, watch): (usize, BoxStream<'static, Vec<Arc<Object>>>)| {
            watch.map(move |objects| (index, objects)).boxed()
        };
        let watches = stream::select_all(watches.into_iter().enumerate().map(number));
        Self { count: watches.len(), watches, seen: Seen::new() }
    }

    /// Whether each has answered.
    pub(super) fn is_whole(&self) -> bool {
        self.seen.len() == self.count
    }

    /// Waits for a change, and takes all that there are by then. None once all watches have ended.
    pub(super) async fn see(&mut self) -> Option<()> {
        let (index, objects) = self.watches.next().await?;
        self.seen.insert(index, objects);
        while let Some(Some((index, objects))) = self.watches.next().now_or_never() {
            self.seen.insert(index, objects);
        }
        Some(())
    }
}
