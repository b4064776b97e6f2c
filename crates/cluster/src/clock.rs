//! A clock that continues while the machine sleeps.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The time since a moment before this process started. Unlike `Instant`, it does not pause during sleep:
/// after waking up, other runs may have acted.
pub(super) fn since_boot() -> Duration {
    #[cfg(target_os = "linux")]
    let clock = ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    let clock = ClockId::Monotonic;
    let now = clock_gettime(clock);
    Duration::new(now.tv_sec.try_into().unwrap_or_default(), now.tv_nsec.try_into().unwrap_or_default())
}
