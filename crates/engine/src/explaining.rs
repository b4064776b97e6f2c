//! Diagnoses a step while it waits.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;

use super::attempts::Attempts;
use super::{Cause, EventKind, Step, Stuck, are_same};
use bootstrapper_core::failure::{Failure, FailureKind};
use bootstrapper_core::verdict::Readiness;

/// The timeout of a diagnosis.
const LIMIT: Duration = Duration::from_secs(10);
/// A wait shorter than this is not diagnosed.
const FIRST: Duration = Duration::from_secs(5);
/// The minimum interval, which grows while nothing changes.
const SHORTEST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_mins(2);

/// The current wait of a step.
#[derive(Clone, Default)]
pub(super) struct Waiting {
    /// Sends the events; none while the step is not waiting.
    pub(super) attempts: Option<Attempts>,
    /// The failure that it retries after, if any.
    pub(super) failure: Option<Failure>,
    /// The last reported readiness.
    pub(super) readiness: Option<Readiness>,
}

impl Waiting {
    /// A step that has acted, and is not ready yet.
    pub(super) fn on(attempts: Attempts, readiness: Readiness) -> Self {
        Self { attempts: Some(attempts), failure: None, readiness: Some(readiness) }
    }

    fn stuck(&self) -> Stuck<'_> {
        Stuck { failure: self.failure.as_ref(), readiness: self.readiness.as_ref(), is_last: false }
    }
}

/// Diagnoses as long as the step runs. Sends a cause when it is new.
pub(super) async fn keep_explaining(step: &dyn Step, mut waiting: watch::Receiver<Waiting>) -> Infallible {
    let mut sent: Vec<Cause> = Vec::new();
    let mut pause = FIRST;
    loop {
        if waiting.wait_for(|waiting| waiting.attempts.is_some()).await.is_err() {
            return std::future::pending().await;
        }
        tokio::time::sleep(pause).await;
        let has_changed = waiting.has_changed().unwrap_or_default();
        let now = waiting.borrow_and_update().clone();
        let causes = explain(step, now.stuck()).await;
        let is_news = !are_same(&causes, &sent);
        pause = if has_changed || is_news { SHORTEST } else { pause.mul_f32(1.6).clamp(SHORTEST, LONGEST) };
        if let (true, Some(attempts)) = (causes != sent, now.attempts) {
            attempts.send(EventKind::StepExplained { causes: causes.clone() });
            sent = causes;
        }
    }
}

/// The causes of a failure, or of a wait without one.
pub(super) async fn explain(step: &dyn Step, stuck: Stuck<'_>) -> Vec<Cause> {
    if stuck.failure.is_some_and(|failure| failure.kind == FailureKind::Cancelled) {
        return Vec::new();
    }
    tokio::time::timeout(LIMIT, step.explain(stuck)).await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;
    use futures::stream::BoxStream;

    use super::*;
    use crate::{Act, Changes, Events, Observation, Owned, StepId, Teardown, Undo};
    use bootstrapper_core::failure::Result;

    /// Waits for ever; each diagnosis returns the same cause with the current duration.
    #[derive(Default)]
    struct Waits {
        looks: AtomicU32,
    }

    #[async_trait]
    impl Undo for Waits {
        async fn owned(&self) -> Result<Owned> {
            Ok(Owned::default())
        }

        async fn teardown(&self, _: &Teardown<'_>) -> Result<Changes> {
            Ok(Changes::default())
        }
    }

    #[async_trait]
    impl Step for Waits {
        async fn observe(&self) -> Result<Observation> {
            Ok(Observation::Awaited { waits_for: Vec::new(), progress: None })
        }

        async fn act(&self, _: Act<'_>) -> Result<Changes> {
            Ok(Changes::default())
        }

        fn settle(&self) -> BoxStream<'_, Result<Readiness>> {
            Box::pin(futures::stream::pending())
        }

        async fn explain(&self, _: Stuck<'_>) -> Vec<Cause> {
            let look = self.looks.fetch_add(1, Ordering::SeqCst);
            vec![Cause {
                code: Some("BS-NOD-002".to_owned()),
                cause: format!("its kubelet has not reported for {look} s"),
                evidence: Vec::new(),
                chain: Vec::new(),
                blocks: Vec::new(),
                origins: Vec::new(),
                declared_in: None,
                remedy: Vec::new(),
                transient: false,
            }]
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_only_lasts_is_looked_into_ever_less_often() {
        let waits = Arc::new(Waits::default());
        let id = StepId { stage: "s".to_owned(), name: "waits".to_owned() };
        let (events, mut told) = Events::channel();
        let attempts = Some(Attempts::new(id, events));
        let (_waiting, watched) = watch::channel(Waiting { attempts, ..Waiting::default() });
        let looking = keep_explaining(&*waits, watched);
        assert!(tokio::time::timeout(Duration::from_mins(10), looking).await.is_err());
        // After 5, 15, 31, 57, 98, 163, 268, 388 and 508 seconds; each has the current duration.
        assert_eq!(waits.looks.load(Ordering::SeqCst), 9);
        let mut count = 0;
        while told.try_recv().is_ok() {
            count += 1;
        }
        assert_eq!(count, 9);
    }
}
