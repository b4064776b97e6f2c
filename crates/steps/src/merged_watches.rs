//! Several watches as one, and what a probe sees through them.

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

/// What a probe sees, by the index of the selection that found it.
pub(super) type Seen = BTreeMap<usize, Vec<Arc<Object>>>;

/// On a large cluster something changes all the time: judging takes no more than a tenth of it.
const RESTS: u32 = 9;
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Follows all that a probe needs to see: once each watch has answered, and then at every change.
pub(super) fn seen_by(cluster: &Cluster, probe: Probe) -> Followed<Seen> {
    let watches =
        MergedWatches::of(probe.watches().into_iter().map(|selection| cluster.follow_all(selection)));
    stream::unfold((watches, None), |(mut watches, yielded_at)| async move {
        // Whoever asks for more has judged what was yielded last.
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

/// Several watches as one.
pub(super) struct MergedWatches {
    count: usize,
    watches: SelectAll<BoxStream<'static, (usize, WatchResult)>>,
    /// The last answer of each, by its place among them.
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

    /// What each saw last; or what cannot be seen now.
    pub(super) fn seen(&self) -> Result<Seen> {
        Ok(self.answers.keys().copied().zip(joined(self.answers.values())?).collect())
    }

    /// Waits for a change, and takes all that there are by then. None once all watches have ended.
    pub(super) async fn change(&mut self) -> Option<()> {
        let (index, answer) = self.watches.next().await?;
        self.answers.insert(index, answer);
        while let Some(Some((index, answer))) = self.watches.next().now_or_never() {
            self.answers.insert(index, answer);
        }
        Some(())
    }
}
