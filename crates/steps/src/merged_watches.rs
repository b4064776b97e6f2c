//! Merges several watches for a probe.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::stream::{self, BoxStream, SelectAll, StreamExt as _};
use tokio::time::Instant;

use bootstrapper_cluster::{Cluster, Followed, joined};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::Object;
use bootstrapper_readiness::Probe;

/// The objects of a probe, by the index of the selection that matched them.
pub(super) type Seen = BTreeMap<usize, Vec<Arc<Object>>>;

/// Large clusters change all the time: evaluation takes at most a tenth of the time.
const RESTS: u32 = 9;
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Watches the objects of a probe: yields once each watch has answered, and then at every change.
pub(super) fn seen_by(cluster: &Cluster, probe: Probe) -> Followed<Seen> {
    let watches =
        MergedWatches::of(probe.watches().into_iter().map(|selection| cluster.follow_all(selection)));
    stream::unfold((watches, None), |(mut watches, yielded_at)| async move {
        // The consumer has evaluated the last item when it asks for the next.
        if let Some(yielded_at) = yielded_at {
            rest(yielded_at).await;
        }
        while !watches.is_complete() {
            watches.change().await?;
        }
        if yielded_at.is_some() {
            watches.change().await?;
        }
        Some((watches.seen(), (watches, Some(Instant::now()))))
    })
    .boxed()
}

async fn rest(yielded_at: Instant) {
    tokio::time::sleep(LONGEST_REST.min(yielded_at.elapsed() * RESTS)).await;
}

/// Several watches merged into one.
pub(super) struct MergedWatches {
    count: usize,
    watches: SelectAll<BoxStream<'static, (usize, WatchResult)>>,
    /// The last answer of each watch, by its index.
    answers: BTreeMap<usize, WatchResult>,
}

type WatchResult = Result<Vec<Arc<Object>>>;

impl MergedWatches {
    pub(super) fn of(watches: impl IntoIterator<Item = Followed<Vec<Arc<Object>>>>) -> Self {
        let number = |(index, watch): (usize, Followed<Vec<Arc<Object>>>)| {
            watch.map(move |answer| (index, answer)).boxed()
        };
        let watches = stream::select_all(watches.into_iter().enumerate().map(number));
        Self { count: watches.len(), watches, answers: BTreeMap::new() }
    }

    /// Whether each has answered.
    pub(super) fn is_complete(&self) -> bool {
        self.answers.len() == self.count
    }

    /// The last answer of each watch; or why there is none now.
    pub(super) fn seen(&self) -> Result<Seen> {
        Ok(self.answers.keys().copied().zip(joined(self.answers.values())?).collect())
    }

    /// Waits for a change, and takes all pending ones. None once all watches have ended.
    pub(super) async fn change(&mut self) -> Option<()> {
        let (index, answer) = self.watches.next().await?;
        self.answers.insert(index, answer);
        while let Some(Some((index, answer))) = self.watches.next().now_or_never() {
            self.answers.insert(index, answer);
        }
        Some(())
    }
}
