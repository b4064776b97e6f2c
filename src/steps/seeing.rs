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
    let selections = probe.watches();
    let count = selections.len();
    let watches = selections
        .into_iter()
        .enumerate()
        .map(|(index, selection)| cluster.follow_all(selection).map(move |objects| (index, objects)).boxed());
    let joined = Joined { watches: stream::select_all(watches), seen: Seen::new(), told_at: None };
    let explainer = explainer.clone();
    stream::unfold(joined, move |mut joined| async move {
        joined.rest().await;
        while joined.seen.len() < count {
            joined.see().await?;
        }
        if joined.told_at.is_some() {
            joined.see().await?;
        }
        joined.told_at = Some(Instant::now());
        Some((joined.seen.clone(), joined))
    })
    .inspect(move |seen| explainer.sees(Sight::of(seen.values().flatten())))
    .boxed()
}

struct Joined {
    watches: SelectAll<BoxStream<'static, (usize, Vec<Arc<Object>>)>>,
    seen: Seen,
    told_at: Option<Instant>,
}

impl Joined {
    /// Whoever comes for more has judged what was told last.
    async fn rest(&mut self) {
        if let Some(told_at) = self.told_at {
            tokio::time::sleep(LONGEST_REST.min(told_at.elapsed() * RESTS)).await;
        }
    }

    /// Waits for a change, and takes all that there are by then.
    async fn see(&mut self) -> Option<()> {
        let (index, objects) = self.watches.next().await?;
        self.seen.insert(index, objects);
        while let Some(Some((index, objects))) = self.watches.next().now_or_never() {
            self.seen.insert(index, objects);
        }
        Some(())
    }
}
