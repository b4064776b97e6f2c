//! The waits of steps, for a log: only what is new, a few reasons at a time, and no faster than a person can
//! read. A printed line is never retracted.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;

use super::board::since;
use bootstrapper_core::verdict::Progress;
use bootstrapper_engine::StepId;

/// The maximum number of reasons per line.
const MAX_REASONS: usize = 4;
/// The minimum interval between lines of a step.
const PAUSE: Duration = Duration::from_secs(2);

/// The waits of all running steps.
#[derive(Default)]
pub(super) struct Waits(BTreeMap<StepId, Waiting>);

/// The reasons of a step's wait, and its progress.
#[derive(Debug, Clone, Default)]
pub(super) struct Wait {
    pub(super) reasons: Vec<String>,
    pub(super) progress: Option<Progress>,
}

struct Waiting {
    now: Wait,
    printed: Vec<String>,
    printed_at: Timestamp,
}

impl Waits {
    /// Records a wait: the lines that are due immediately.
    pub(super) fn record(&mut self, step: &StepId, wait: Wait, at: Timestamp) -> Vec<String> {
        if let Some(waiting) = self.0.get_mut(step) {
            waiting.now = wait;
            return waiting.due(at);
        }
        let mut waiting = Waiting { now: wait, printed: Vec::new(), printed_at: at };
        let lines = waiting.new_lines(at);
        self.0.insert(step.clone(), waiting);
        lines
    }

    /// The suppressed lines that are due at `now`.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<(StepId, String)> {
        let due = self.0.iter_mut().map(|(step, waiting)| (step, waiting.due(now)));
        due.flat_map(|(step, lines)| lines.into_iter().map(|line| (step.clone(), line))).collect()
    }

    /// Ends a step's wait.
    pub(super) fn ended(&mut self, step: &StepId) {
        self.0.remove(step);
    }
}

impl Waiting {
    fn due(&mut self, at: Timestamp) -> Vec<String> {
        if since(self.printed_at, at) < PAUSE { Vec::new() } else { self.new_lines(at) }
    }

    fn new_lines(&mut self, at: Timestamp) -> Vec<String> {
        let new: Vec<&String> =
            self.now.reasons.iter().filter(|reason| !self.printed.contains(reason)).collect();
        if new.is_empty() {
            return Vec::new();
        }
        // Show one more instead of "1 more".
        let shown = if new.len() > MAX_REASONS { MAX_REASONS - 1 } else { new.len() };
        let mut lines: Vec<String> = new[..shown].iter().map(|reason| format!("waiting: {reason}")).collect();
        if new.len() > shown {
            lines.push(format!("waiting: and {} more", new.len() - shown));
        }
        if let (Some(progress), Some(last)) = (self.now.progress, lines.last_mut()) {
            let _ = write!(last, " ({progress})");
        }
        self.printed.clone_from(&self.now.reasons);
        self.printed_at = at;
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    fn reasons(count: usize, state: &str) -> Wait {
        let reasons = (0..count).map(|number| format!("{number} {state}")).collect();
        Wait { reasons, progress: None }
    }

    #[test]
    fn few_are_printed_at_once_and_none_twice() {
        let step = StepId { stage: "crds".into(), name: "flux".into() };
        let mut waits = Waits::default();
        assert_eq!(
            waits.record(&step, reasons(30, "new"), at(0)),
            ["waiting: 0 new", "waiting: 1 new", "waiting: 2 new", "waiting: and 27 more"]
        );
        // Fast changes are suppressed, and only the last state is shown.
        assert!(waits.record(&step, reasons(30, "installing"), at(100)).is_empty());
        assert!(waits.record(&step, reasons(2, "established"), at(900)).is_empty());
        assert!(waits.due(at(1000)).is_empty());
        let due: Vec<String> = waits.due(at(2000)).into_iter().map(|(_, line)| line).collect();
        assert_eq!(due, ["waiting: 0 established", "waiting: 1 established"]);
        assert!(waits.due(at(9000)).is_empty());
        // A new wait of a step starts over.
        waits.ended(&step);
        assert_eq!(waits.record(&step, reasons(1, "established"), at(9100)), ["waiting: 0 established"]);
    }

    #[test]
    fn the_last_line_says_how_far_it_is() {
        let step = StepId { stage: "handover".into(), name: "handover".into() };
        let wait = Wait { progress: Some(Progress { ready: 9, total: 35 }), ..reasons(2, "in progress") };
        assert_eq!(
            Waits::default().record(&step, wait, at(0)),
            ["waiting: 0 in progress", "waiting: 1 in progress (9/35 ready)"]
        );
    }
}
