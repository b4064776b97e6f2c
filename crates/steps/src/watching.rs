//! What the steps that only watch have in common.

use std::time::Duration;

use futures::stream::{BoxStream, StreamExt};

use bootstrapper_core::failure::Result;
use bootstrapper_engine::Observation;
use bootstrapper_readiness::Verdict;

/// A watch tells what it sees, or why it sees nothing, long before.
const LIMIT: Duration = Duration::from_mins(1);

/// The first verdict of a watch, as an observation.
pub(super) async fn observe(
    mut verdicts: BoxStream<'_, Result<Verdict>>,
    ready: String,
    unchanged: usize,
) -> Result<Observation> {
    let verdict = tokio::time::timeout(LIMIT, verdicts.next()).await.ok().flatten().transpose()?;
    Ok(match verdict {
        Some(Verdict::Ready) => Observation::Satisfied { summary: ready, unchanged },
        Some(waiting) => Observation::Awaited { waits_for: waiting.reasons().to_vec() },
        None => Observation::Awaited { waits_for: vec!["an answer of the API server".to_owned()] },
    })
}
