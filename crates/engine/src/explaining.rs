//! Looks into a wait while it goes on: why is it not done yet?

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;

use super::attempt::Attempts;
use super::{Cause, EventKind, PlannedStep, are_still};
use bootstrapper_core::failure::{Failure, FailureKind};

/// How long a look may take.
const LIMIT: Duration = Duration::from_secs(10);
/// What is done within so much time needs no explanation.
const FIRST: Duration = Duration::from_secs(5);
/// Never more often than that, and ever less often while nothing changes.
const SHORTEST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_mins(2);

/// What a step waits for just now.
#[derive(Clone, Default)]
pub(super) struct Waiting {
    /// Whom to tell; none while the step does not wait.
    pub(super) voice: Option<Attempts>,
    /// What was refused, if that is why it waits.
    pub(super) failure: Option<Failure>,
}

/// Explains for as long as the step runs. A cause is told when it is new.
pub(super) async fn keep_explaining(step: &PlannedStep, mut waiting: watch::Receiver<Waiting>) -> Infallible {
    let mut told: Vec<Cause> = Vec::new();
    let mut pause = FIRST;
    loop {
        if waiting.wait_for(|waiting| waiting.voice.is_some()).await.is_err() {
            return std::future::pending().await;
        }
        tokio::time::sleep(pause).await;
        let has_changed = waiting.has_changed().unwrap_or_default();
        let now = waiting.borrow_and_update().clone();
        let causes = explain(step, now.failure.as_ref()).await;
        let is_news = !are_still(&causes, &told);
        pause = if has_changed || is_news { SHORTEST } else { pause.mul_f32(1.6).clamp(SHORTEST, LONGEST) };
        if let (true, Some(voice)) = (causes != told, now.voice) {
            voice.tell(EventKind::StepExplained { causes: causes.clone() });
            told = causes;
        }
    }
}

/// The causes of a failure, or of a wait that has none.
pub(super) async fn explain(step: &PlannedStep, failure: Option<&Failure>) -> Vec<Cause> {
    if failure.is_some_and(|failure| failure.kind == FailureKind::Cancelled) {
        return Vec::new();
    }
    tokio::time::timeout(LIMIT, step.step.explain(failure)).await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use async_trait::async_trait;
    use futures::stream::BoxStream;

    use super::*;
    use crate::{Act, Changes, Events, Limits, Observation, Step, StepId};
    use bootstrapper_core::failure::Result;
    use bootstrapper_core::verdict::Verdict;

    /// Waits for ever; each look tells the same cause, and for how long it has lasted by now.
    #[derive(Default)]
    struct Waits {
        looks: AtomicU32,
    }

    #[async_trait]
    impl Step for Waits {
        async fn observe(&self) -> Result<Observation> {
            Ok(Observation::Awaited { waits_for: Vec::new() })
        }

        async fn act(&self, _: Act<'_>) -> Result<Changes> {
            Ok(Changes::default())
        }

        fn settle(&self) -> BoxStream<'_, Result<Verdict>> {
            Box::pin(futures::stream::pending())
        }

        async fn explain(&self, _: Option<&Failure>) -> Vec<Cause> {
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
                passes: false,
            }]
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_only_lasts_is_looked_into_ever_less_often() {
        let waits = Arc::new(Waits::default());
        let limits = Limits { timeout: Duration::from_hours(1), inactivity: Duration::from_hours(1) };
        let id = StepId { stage: "s".to_owned(), name: "waits".to_owned() };
        let step: Arc<dyn Step> = Arc::clone(&waits) as Arc<dyn Step>;
        let planned =
            PlannedStep { id: id.clone(), title: "waits".to_owned(), limits, digest: None, skip: None, step };
        let (events, mut told) = Events::channel();
        let voice = Some(Attempts::new(id, events));
        let (_waiting, watched) = watch::channel(Waiting { voice, failure: None });
        let looking = keep_explaining(&planned, watched);
        assert!(tokio::time::timeout(Duration::from_mins(10), looking).await.is_err());
        // After 5, 15, 31, 57, 98, 163, 268, 388 and 508 seconds; each tells how long it is by then.
        assert_eq!(waits.looks.load(Ordering::SeqCst), 9);
        let mut count = 0;
        while told.try_recv().is_ok() {
            count += 1;
        }
        assert_eq!(count, 9);
    }
}
