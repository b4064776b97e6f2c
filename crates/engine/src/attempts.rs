//! The clocks and the event sender of one step.

use tokio::time::Instant;

use super::{Event, EventKind, Events, StepId};

/// The clocks and the event sender of one step.
#[derive(Clone)]
pub(super) struct Attempts {
    id: StepId,
    events: Events,
    pub(super) attempt: u32,
    step_began: Instant,
    attempt_began: Instant,
}

impl Attempts {
    pub(super) fn new(id: StepId, events: Events) -> Self {
        let now = Instant::now();
        Self { id, events, attempt: 0, step_began: now, attempt_began: now }
    }

    pub(super) fn begin(&mut self) {
        self.attempt += 1;
        self.attempt_began = Instant::now();
    }

    pub(super) fn send(&self, kind: EventKind) {
        self.events.send(Event {
            at: jiff::Timestamp::now(),
            step: Some(self.id.clone()),
            attempt: self.attempt,
            step_elapsed: self.step_began.elapsed(),
            attempt_elapsed: self.attempt_began.elapsed(),
            kind,
        });
    }
}
