//! A hold on the cluster's Lease: renewed, and confirmed before a write if renewals are overdue.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;
use kube::api::PostParams;
use kube::runtime::{WatchStreamExt as _, watcher};
use tokio::sync::watch;

use super::calls::{if_there, within_limit};
use super::clock::since_boot;
use super::holder::Holder;
use super::lease::{LEASE, holder_of, holding};
use bootstrapper_core::failure::{Failure, FailureKind, Result, Retry};

pub(super) const RENEW_EVERY: Duration = Duration::from_secs(5);
/// Within this time after a renewal the lease cannot have expired, and a write still arrives in time.
const FRESH: Duration = Duration::from_secs(10);

/// The right to write, while the Lease is held.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) leases: Api<Lease>,
    pub(super) holder: Holder,
    /// When the Lease was last confirmed as this run's, by [`since_boot`].
    confirmed: Mutex<Duration>,
    /// Only one task confirms at a time; the others use its result.
    confirming: tokio::sync::Mutex<()>,
    loss: watch::Sender<Option<Loss>>,
}

/// Why it was lost.
#[derive(Debug, Clone)]
enum Loss {
    /// Another run has taken it over.
    Taken(Box<Lease>),
    /// It was broken, or the Lease was deleted.
    Broken,
}

impl Hold {
    /// A hold that was acquired at `confirmed`.
    pub(super) fn new(leases: Api<Lease>, holder: Holder, confirmed: Duration) -> Self {
        let (loss, _) = watch::channel(None);
        Self {
            leases,
            holder,
            confirmed: Mutex::new(confirmed),
            confirming: tokio::sync::Mutex::default(),
            loss,
        }
    }

    /// Permits a write, or returns why not.
    pub(super) async fn pass(&self) -> Result<()> {
        self.fail_if_lost()?;
        if self.is_fresh() {
            return Ok(());
        }
        let _alone = self.confirming.lock().await;
        self.fail_if_lost()?;
        if self.is_fresh() { Ok(()) } else { self.confirm().await }
    }

    /// Returns once it is lost.
    pub(super) async fn lost(&self) -> Failure {
        let mut loss = self.loss.subscribe();
        let lost =
            loss.wait_for(Option::is_some).await.ok().and_then(|loss| loss.as_ref().map(Loss::failure));
        match lost {
            Some(failure) => failure,
            None => std::future::pending().await,
        }
    }

    /// Renews while it is held. A failed renewal is not decisive: the next write confirms it. A break or
    /// takeover is noticed immediately.
    pub(super) async fn keep(&self) {
        let mut every = tokio::time::interval(RENEW_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let lease = watcher::watch_object(self.leases.clone(), LEASE).default_backoff();
        let mut lease = std::pin::pin!(lease);
        while self.loss.borrow().is_none() {
            let is_due = tokio::select! {
                _ = every.tick() => true,
                Some(Ok(now)) = lease.next() => !now.is_some_and(|now| self.is_holder(&now)),
            };
            if is_due {
                let _alone = self.confirming.lock().await;
                let _ = tokio::time::timeout(RENEW_EVERY, self.confirm()).await;
            }
        }
    }

    /// Renews it now, which confirms that it is held.
    async fn confirm(&self) -> Result<()> {
        let what = "cannot renew the run lock";
        let asked_at = since_boot();
        let found = if_there(what, self.leases.get(LEASE)).await?;
        let Some(lease) = found.filter(|lease| self.is_holder(lease) || holder_of(lease).is_some()) else {
            return Err(self.lose(Loss::Broken));
        };
        if !self.is_holder(&lease) {
            return Err(self.lose(Loss::Taken(Box::new(lease))));
        }
        let mut renewed = lease;
        renewed.spec.get_or_insert_default().renew_time = Some(MicroTime(jiff::Timestamp::now()));
        // Uses the version that was read: a concurrent write causes a conflict, and the next read shows the
        // state.
        within_limit(what, self.leases.replace(LEASE, &PostParams::default(), &renewed)).await?;
        *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner) = asked_at;
        Ok(())
    }

    /// Releases it, if it is still held.
    pub(super) async fn release(&self) -> Result<()> {
        match self.release_once().await {
            // A concurrent renewal caused a conflict; none follows.
            Err(failure) if failure.retry == Retry::MayHelp => self.release_once().await,
            done => done,
        }
    }

    async fn release_once(&self) -> Result<()> {
        let what = "cannot release the run lock";
        let found = if_there(what, self.leases.get(LEASE)).await?;
        let Some(mut lease) = found.filter(|lease| self.is_holder(lease)) else { return Ok(()) };
        lease.spec.get_or_insert_default().holder_identity = None;
        within_limit(what, self.leases.replace(LEASE, &PostParams::default(), &lease)).await.map(drop)
    }

    fn is_holder(&self, lease: &Lease) -> bool {
        holder_of(lease).as_ref() == Some(&self.holder)
    }

    fn is_fresh(&self) -> bool {
        let confirmed = *self.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        since_boot().saturating_sub(confirmed) < FRESH
    }

    fn fail_if_lost(&self) -> Result<()> {
        self.loss.borrow().as_ref().map_or(Ok(()), |loss| Err(loss.failure()))
    }

    fn lose(&self, loss: Loss) -> Failure {
        let failure = loss.failure();
        self.loss.send_replace(Some(loss));
        failure
    }
}

impl Loss {
    fn failure(&self) -> Failure {
        let failure = Failure::new(FailureKind::Locked, "this run lost its lock and stopped writing");
        match self {
            Self::Taken(lease) => failure.because(holding(lease)),
            Self::Broken => failure.because("it was broken (`--break-lock`), or its Lease was deleted"),
        }
        .hint("when the other run has finished, run again: finished steps are skipped")
    }
}
