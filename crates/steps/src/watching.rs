//! Shared by steps that only watch.

use std::time::Duration;

use futures::stream::{BoxStream, StreamExt};

use bootstrapper_core::failure::Result;
use bootstrapper_core::verdict::{Readiness, Verdict};
use bootstrapper_engine::Observation;

/// A watch answers, or fails, long before.
const LIMIT: Duration = Duration::from_mins(1);

/// The first item of a watch; none if it times out.
pub(super) async fn first(mut items: BoxStream<'_, Result<Readiness>>) -> Result<Option<Readiness>> {
    tokio::time::timeout(LIMIT, items.next()).await.ok().flatten().transpose()
}

/// The first item of a watch, as an observation.
pub(super) fn observation(first: Option<Readiness>, ready: String, unchanged: usize) -> Observation {
    match first.map(|readiness| (readiness.verdict, readiness.progress)) {
        Some((Verdict::Ready, _)) => Observation::Satisfied { summary: ready, unchanged },
        Some((Verdict::NotYet(reasons) | Verdict::Never(reasons), progress)) => {
            Observation::Awaited { waits_for: reasons, progress }
        }
        None => {
            Observation::Awaited { waits_for: vec!["an answer of the API server".into()], progress: None }
        }
    }
}

/// Takes the first item as an observation.
pub(super) async fn observe(
    items: BoxStream<'_, Result<Readiness>>,
    ready: String,
    unchanged: usize,
) -> Result<Observation> {
    Ok(observation(first(items).await?, ready, unchanged))
}
