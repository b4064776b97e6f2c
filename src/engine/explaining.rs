//! Looks into a wait while it goes on: why is it not done yet?

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;

use super::attempt::Attempts;
use super::{Cause, EventKind, PlannedStep};
use crate::failure::{Failure, FailureKind};

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
        let is_news = causes != told;
        pause = if has_changed || is_news { SHORTEST } else { pause.mul_f32(1.6).clamp(SHORTEST, LONGEST) };
        if let (true, Some(voice)) = (is_news, now.voice) {
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
