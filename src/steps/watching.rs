//! What the steps that only watch have in common.

use futures::stream::{BoxStream, StreamExt};

use crate::engine::Observation;
use crate::readiness::Verdict;

/// The first verdict of a watch, as an observation.
pub(super) async fn observe(
    mut verdicts: BoxStream<'_, Verdict>,
    ready: String,
    unchanged: usize,
) -> Observation {
    match verdicts.next().await {
        Some(Verdict::Ready) => Observation::Satisfied { summary: ready, unchanged },
        Some(waiting) => Observation::Awaited { waits_for: waiting.reasons().to_vec() },
        None => Observation::Awaited { waits_for: vec!["an answer of the API server".to_owned()] },
    }
}
