//! How long to wait between attempts.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use bootstrapper_core::failure::Retry;

/// Exponential with jitter, capped: fast enough to notice that a webhook came up, slow enough for an
/// overloaded API server. Ends only with the step's deadline.
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
    /// The delay after a failure; none if a retry cannot help. At least as long as the server requested.
    pub(super) fn pause(&mut self, retry: Retry) -> Option<Duration> {
        let usual = self.0.next().unwrap_or(LONGEST);
        match retry {
            Retry::Useless => None,
            Retry::MayHelp => Some(usual),
            Retry::After(asked) => Some(asked.max(usual)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_differ_and_heed_the_server() {
        let (mut one, mut other) = (Backoff::default(), Backoff::default());
        let pauses = |of: &mut Backoff| -> Vec<Duration> {
            std::iter::from_fn(|| of.pause(Retry::MayHelp)).take(30).collect()
        };
        let (first, second) = (pauses(&mut one), pauses(&mut other));
        assert_ne!(first, second, "no jitter");
        assert!(first[0] < Duration::from_secs(1));
        assert!(first.iter().all(|pause| *pause <= LONGEST * 2), "{first:?}");
        assert!(one.pause(Retry::After(Duration::from_mins(1))) >= Some(Duration::from_mins(1)));
        assert_eq!(one.pause(Retry::Useless), None);
    }
}
