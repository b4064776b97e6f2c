//! The requests that a run has sent to Flux. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::due::Due;
use bootstrapper_core::object::ObjectRef;

/// The pause between requests for the same object; it doubles each time.
const PAUSE: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_mins(1);

/// The requests that a run has sent to Flux.
#[derive(Debug, Default)]
pub(super) struct RequestLog(BTreeMap<ObjectRef, Last>);

#[derive(Debug)]
struct Last {
    because: Vec<String>,
    at: Timestamp,
    count: u32,
}

impl RequestLog {
    /// Adds a request.
    pub(super) fn note(&mut self, due: &Due, at: Timestamp) {
        let last = self.0.entry(due.id.clone()).or_insert(Last { because: Vec::new(), at, count: 0 });
        last.because.push(due.key.clone());
        last.at = at;
        last.count += 1;
    }

    /// The number of requests.
    pub(super) fn count(&self) -> usize {
        self.0.values().map(|last| last.because.len()).sum()
    }

    /// The number of requests for this object.
    pub(super) fn times(&self, id: &ObjectRef) -> u32 {
        self.0.get(id).map_or(0, |last| last.count)
    }

    /// Whether this object was requested for this cause.
    pub(super) fn has(&self, id: &ObjectRef, key: &str) -> bool {
        self.0.get(id).is_some_and(|last| last.because.iter().any(|other| other == key))
    }

    /// When this object may be requested again.
    pub(super) fn not_before(&self, id: &ObjectRef) -> Option<Timestamp> {
        let last = self.0.get(id)?;
        let doubled = PAUSE.saturating_mul(2_u32.saturating_pow(last.count.saturating_sub(1)));
        Some(last.at + LONGEST.min(doubled))
    }
}
