//! How long to wait between attempts.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

/// Exponential with jitter, capped: quick to notice that a webhook came up, gentle on an API
/// server that is in trouble. Ends only with the step's deadline.
pub(super) struct Backoff(ExponentialBackoff);

const LONGEST: Duration = Duration::from_secs(10);

impl Default for Backoff {
    fn default() -> Self {
        Self(
            ExponentialBuilder::default()
                .with_min_delay(Duration::from_millis(250))
                .with_max_delay(LONGEST)
                .with_factor(1.7)
                .with_jitter()
                .without_max_times()
                .build(),
        )
    }
}

impl Backoff {
    pub(super) fn next(&mut self) -> Duration {
        self.0.next().unwrap_or(LONGEST)
    }
}
