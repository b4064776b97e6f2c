//! The limits of a step: one for its total duration, and one for the time without progress.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::time::Duration;

use tokio::time::Instant;

use bootstrapper_core::failure::{Failure, FailureKind};

/// The limits of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From its first attempt until it is ready.
    pub timeout: Duration,
    /// Without progress. Every change resets it.
    pub inactivity: Duration,
}

/// When a step times out.
#[derive(Debug)]
pub(super) struct Deadline {
    limits: Limits,
    latest: Instant,
    last_change: Instant,
    /// All states seen so far: returning to one of them is not progress.
    seen: HashSet<u64>,
}

impl Deadline {
    pub(super) fn new(limits: Limits) -> Self {
        let now = Instant::now();
        Self { limits, latest: now + limits.timeout, last_change: now, seen: HashSet::new() }
    }

    /// Records a state: progress, unless it was seen before.
    pub(super) fn record_state(&mut self, state: &impl Hash) {
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        if self.seen.insert(hasher.finish()) {
            self.record_progress();
        }
    }

    /// Records an action.
    pub(super) fn record_progress(&mut self) {
        self.last_change = Instant::now();
    }

    /// When it expires if nothing changes.
    pub(super) fn ends(&self) -> Instant {
        self.latest.min(self.last_change + self.limits.inactivity)
    }

    /// The failure when it has expired.
    pub(super) fn failure(&self, title: &str) -> Failure {
        let is_over = Instant::now() >= self.latest;
        let Limits { timeout, inactivity } = self.limits;
        if is_over || inactivity >= timeout {
            return Failure::new(FailureKind::Deadline, format!("{title} is not ready after {timeout:?}"));
        }
        Failure::new(
            FailureKind::Deadline,
            format!("{title} is not ready, and nothing has changed for {inactivity:?}"),
        )
        .hint("what it waits for may need manual action; raise --inactivity to wait longer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { timeout: Duration::from_secs(100), inactivity: Duration::from_secs(30) };

    #[tokio::test(start_paused = true)]
    async fn a_change_extends_the_wait_up_to_the_timeout_and_flapping_does_not() {
        let began = Instant::now();
        let mut deadline = Deadline::new(LIMITS);
        let ends = |deadline: &Deadline| (deadline.ends() - began).as_secs();
        deadline.record_state(&"pulling");
        assert_eq!(ends(&deadline), 30);
        for (seconds, state, expected) in [
            (20, "starting", 50),
            (20, "pulling", 50),
            (5, "starting", 50),
            (0, "started", 75),
            (40, "a", 100),
        ] {
            tokio::time::advance(Duration::from_secs(seconds)).await;
            deadline.record_state(&state);
            assert_eq!(ends(&deadline), expected, "{state}");
        }
        assert!(deadline.failure("x").what.contains("nothing has changed for 30s"));
        tokio::time::advance(Duration::from_secs(15)).await;
        assert!(deadline.failure("x").what.contains("not ready after 100s"));
    }
}
