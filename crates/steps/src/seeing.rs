//! What a probe has to see, as it changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::stream::{self, BoxStream, SelectAll, StreamExt as _, TryStreamExt as _};
use tokio::time::Instant;

use super::explain::{Explainer, Sight};
use bootstrapper_cluster::{Cluster, Followed, joined};
use bootstrapper_core::failure::Result;
use bootstrapper_core::object::Object;
use bootstrapper_readiness::Probe;

/// What a probe has to see, by the index of the selection that found it.
pub(super) type Seen = BTreeMap<usize, Vec<Arc<Object>>>;

/// On a large cluster something changes all the time: judging takes no more than a tenth of it.
const RESTS: u32 = 9;
const LONGEST_REST: Duration = Duration::from_secs(1);

/// Joins the watches of all that a probe needs to see: once each has answered, and then at every change.
pub(super) fn seen_by(cluster: &Cluster, probe: Probe, explainer: &Explainer) -> Followed<Seen> {
    let watches = Joined::of(probe.watches().into_iter().map(|selection| cluster.follow_all(selection)));
    let explainer = explainer.clone();
    stream::unfold((watches, None), |(mut watches, told_at)| async move {
        // Whoever comes for more has judged what was told last.
        if let Some(told_at) = told_at {
            rest(told_at).await;
        }
        while !watches.is_whole() {
            watches.see().await?;
        }
        if told_at.is_some() {
            watches.see().await?;
        }
        Some((watches.seen(), (watches, Some(Instant::now()))))
    })
    .inspect_ok(move |seen| explainer.sees(Sight::of(seen.values().flatten())))
    .boxed()
}

async fn rest(told_at: Instant) {
    tokio::time::sleep(LONGEST_REST.min(told_at.elapsed() * RESTS)).await;
}

/// Several watches as one.
pub(super) struct Joined {
    count: usize,
    watches: SelectAll<BoxStream<'static, (usize, Told)>>,
    /// What each told last, by its place among them.
    told: BTreeMap<usize, Told>,
}

type Told = Result<Vec<Arc<Object>>>;

impl Joined {
    pub(super) fn of(watches: impl IntoIterator<Item = Followed<Vec<Arc<Object>>>>) -> Self {
        let number = |(index, watch): (usize, Followed<Vec<Arc<Object>>>)| {
            watch.map(move |told| (index, told)).boxed()
        };
        let watches = stream::select_all(watches.into_iter().enumerate().map(number));
        Self { count: watches.len(), watches, told: BTreeMap::new() }
    }

    /// Whether each has answered.
    pub(super) fn is_whole(&self) -> bool {
        self.told.len() == self.count
    }

    /// What each saw last; or what cannot be seen just now.
    pub(super) fn seen(&self) -> Result<Seen> {
        Ok(self.told.keys().copied().zip(joined(self.told.values())?).collect())
    }

    /// Waits for a change, and takes all that there are by then. None once all watches have ended.
    pub(super) async fn see(&mut self) -> Option<()> {
        let (index, told) = self.watches.next().await?;
        self.told.insert(index, told);
        while let Some(Some((index, told))) = self.watches.next().now_or_never() {
            self.told.insert(index, told);
        }
        Some(())
    }
}
