//! Which causes of a waiting step are shown, and when: what a healthy run passes through is none. A step that has
//! failed shows all of its causes at once.

use std::time::Duration;

use jiff::Timestamp;

use super::board::since;
use bootstrapper_engine::Cause;

/// How long something must have been slow: a dependency of a healthy hand-over takes up to a minute.
const SLOW: Duration = Duration::from_mins(2);
/// How long an object must have been not ready, if no rule knows more than that.
const GENERIC: Duration = Duration::from_secs(20);
/// The code of that.
const GENERIC_CODE: &str = "BS-OBJ-001";

/// The causes of a step, and since when each is given.
#[derive(Debug, Default)]
pub(super) struct Causes(Vec<(Cause, Timestamp)>);

impl Causes {
    /// These causes replace the previous ones.
    pub(super) fn replace(&mut self, causes: &[Cause], at: Timestamp) {
        let before = std::mem::take(&mut self.0);
        let first = |cause: &Cause| {
            before.iter().find(|(known, _)| known.is_same(cause)).map_or(at, |(_, first)| *first)
        };
        self.0 = causes.iter().map(|cause| (cause.clone(), first(cause))).collect();
    }

    /// Those that are due at `now`.
    pub(super) fn due(&self, now: Timestamp) -> impl Iterator<Item = &Cause> {
        let is_due = move |(cause, first): &&(Cause, Timestamp)| since(*first, now) >= patience(cause);
        self.0.iter().filter(is_due).map(|(cause, _)| cause)
    }
}

fn patience(cause: &Cause) -> Duration {
    match &cause.code {
        _ if cause.transient => SLOW,
        Some(code) if code != GENERIC_CODE => Duration::ZERO,
        _ => GENERIC,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(code: Option<&str>, text: &str, transient: bool) -> Cause {
        Cause {
            code: code.map(str::to_owned),
            cause: text.to_owned(),
            evidence: vec![],
            chain: vec![],
            blocks: vec![],
            origins: vec![],
            declared_in: None,
            remedy: vec![],
            transient,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_passes_soon_is_not_shown() {
        let mut causes = Causes::default();
        let slow = |text: &str| cause(Some("BS-POD-009"), text, true);
        causes.replace(&[slow("starting for 1 s"), cause(Some("BS-IMG-001"), "no image", false)], at(0));
        let due = |causes: &Causes, second| {
            causes.due(at(second)).map(|cause| cause.cause.clone()).collect::<Vec<_>>()
        };
        assert_eq!(due(&causes, 0), ["no image"]);
        // The same, although its text is another.
        causes.replace(&[slow("starting for 25 s")], at(25));
        assert!(due(&causes, 119).is_empty());
        assert_eq!(due(&causes, 120), ["starting for 25 s"]);
        // What was gone in between starts over.
        causes.replace(&[], at(121));
        causes.replace(&[slow("starting for 1 s"), cause(Some(GENERIC_CODE), "not ready", false)], at(122));
        assert!(due(&causes, 141).is_empty());
        assert_eq!(due(&causes, 142), ["not ready"]);
    }
}
