//! The Lease of a cluster's run lock.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::ObjectMeta;

use super::HOME;
use super::holder::Holder;

pub(super) const LEASE: &str = "bootstrapper-lock";
/// The duration of a hold without renewal.
pub(super) const LASTS: Duration = Duration::from_secs(15);
/// The maximum time to wait for a holder, regardless of its Lease.
const LONGEST: Duration = Duration::from_mins(1);

/// A Lease without a holder.
pub(super) fn unheld() -> Lease {
    let metadata = ObjectMeta {
        name: Some(LEASE.to_owned()),
        namespace: Some(HOME.to_owned()),
        ..ObjectMeta::default()
    };
    Lease { metadata, ..Lease::default() }
}

/// The same Lease, acquired by `holder`.
pub(super) fn held_by(holder: &Holder, mut lease: Lease) -> Lease {
    let now = MicroTime(jiff::Timestamp::now());
    let before = lease.spec.as_ref().and_then(|spec| spec.lease_transitions);
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(holder.identity().to_owned()),
        lease_duration_seconds: i32::try_from(LASTS.as_secs()).ok(),
        acquire_time: Some(now.clone()),
        renew_time: Some(now),
        lease_transitions: Some(before.map_or(0, |before| before.saturating_add(1))),
        ..LeaseSpec::default()
    });
    lease
}

/// Its holder, if any.
pub(super) fn holder_of(lease: &Lease) -> Option<Holder> {
    Holder::of(lease.spec.as_ref()?.holder_identity.as_deref())
}

/// How long its holder counts as running without a renewal.
pub(super) fn lasts(lease: &Lease) -> Duration {
    let said = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
    let said = said.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
    said.map_or(LASTS, Duration::from_secs).min(LONGEST)
}

/// `alice@laptop (process 4711) has held the lock since 2026-11-28 16:02:11Z`.
pub(super) fn holding(lease: &Lease) -> String {
    let holder = holder_of(lease).map_or_else(|| "nobody".to_owned(), |holder| holder.to_string());
    let since = lease.spec.as_ref().and_then(|spec| spec.acquire_time.as_ref());
    match since {
        Some(since) => format!("{holder} has held the lock since {}", since.0.strftime("%Y-%m-%d %H:%M:%SZ")),
        None => format!("{holder} holds the lock"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_tells_who_holds_it_and_what_it_says_is_not_trusted() {
        let lease = unheld();
        assert_eq!((holder_of(&lease), lasts(&lease)), (None, LASTS));
        let mut lease = held_by(&Holder::here("run"), lease);
        assert!(
            holding(&lease).contains(&format!("(process {}) has held the lock since 2", std::process::id()))
        );
        for (seconds, expected) in
            [(-3, LASTS), (0, LASTS), (20, Duration::from_secs(20)), (i32::MAX, LONGEST)]
        {
            lease.spec.get_or_insert_default().lease_duration_seconds = Some(seconds);
            assert_eq!(lasts(&lease), expected);
        }
        lease.spec = None;
        assert_eq!(holding(&lease), "nobody holds the lock");
    }
}
