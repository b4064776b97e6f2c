//! One run per cluster: acquires and renews a Lease.
//!
//! Whether a holder is still running is determined by watching its renewals, never by comparing clocks of two
//! machines.

use std::sync::Arc;

use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::PostParams;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, ResourceExt as _};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::calls::{if_there, within_limit};
use super::clock::since_boot;
use super::fence::Fence;
use super::hold::Hold;
use super::holder::Holder;
use super::lease::{LEASE, held_by, holder_of, holding, lasts, unheld};
use super::{Cluster, HOME};
use bootstrapper_core::failure::{Failure, FailureKind, Result, Retry};

/// The right to write, until it is released or lost.
pub struct Lock {
    hold: Arc<Hold>,
    fence: Fence,
    renewal: JoinHandle<()>,
}

impl Cluster {
    /// Acquires the cluster's lock for the run `run`. From then on this connection writes only while the lock
    /// is held. Takes over from a crashed holder; `say` reports the wait.
    pub async fn lock(&self, run: &str, say: &(dyn Fn(String) + Send + Sync)) -> Result<Lock> {
        let leases = self.leases();
        let holder = Holder::here(run);
        let mut found = self.lease().await?;
        if let Some(lease) = &found
            && let Some(other) = holder_of(lease)
            && other != holder
            && !other.is_dead_local_process()
        {
            say(format!(
                "{}; waiting up to {:?} to see whether it is still running",
                holding(lease),
                lasts(lease)
            ));
            found = await_its_death(&leases, lease).await?;
        }
        let taken_at = since_boot();
        take(&leases, found, &holder).await?;
        let hold = Arc::new(Hold::new(leases, holder, taken_at));
        self.fence.set(Some(Arc::clone(&hold)));
        let kept = Arc::clone(&hold);
        let renewal = tokio::spawn(async move { kept.keep().await });
        Ok(Lock { hold, fence: self.fence.clone(), renewal })
    }

    /// The holder of the cluster's lock, with time and host; none if it is free, or its holder's process has
    /// exited.
    pub async fn lock_holding(&self) -> Result<Option<String>> {
        let lease = self.lease().await?;
        let is_held = |lease: &Lease| holder_of(lease).is_some_and(|holder| !holder.is_dead_local_process());
        Ok(lease.filter(is_held).as_ref().map(holding))
    }

    /// Removes the holder of the lock, if it is still the one of `holding`. The holder's run notices this,
    /// and stops before its next write.
    pub async fn break_lock(&self, confirmed: &str) -> Result<()> {
        let what = "cannot break the run lock";
        for is_last in [false, true] {
            let held = self.lease().await?.filter(|lease| holder_of(lease).is_some());
            let Some(mut lease) = held else { return Ok(()) };
            if holding(&lease) != confirmed {
                return Err(Failure::new(FailureKind::Locked, what)
                    .because(format!("it has changed: {}", holding(&lease)))
                    .hint("check the other run again, and decide"));
            }
            lease.spec.get_or_insert_default().holder_identity = None;
            match within_limit(what, self.leases().replace(LEASE, &PostParams::default(), &lease)).await {
                // Its holder has renewed it meanwhile, and is still the confirmed one.
                Err(failure) if failure.retry == Retry::MayHelp && !is_last => {}
                done => return done.map(drop),
            }
        }
        Ok(())
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), HOME)
    }

    async fn lease(&self) -> Result<Option<Lease>> {
        if_there("cannot read the run lock", self.leases().get(LEASE)).await
    }
}

impl Lock {
    /// Confirms that it is still held; reads the Lease if renewals are overdue.
    pub async fn confirm(&self) -> Result<()> {
        self.hold.pass().await
    }

    /// Returns when it is lost: another run has taken it over, or a person has broken it.
    pub async fn lost(&self) -> Failure {
        self.hold.lost().await
    }

    /// Releases it, if it is still held.
    pub async fn release(&self) -> Result<()> {
        self.renewal.abort();
        let released = self.hold.release().await;
        self.fence.set(None);
        released
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

/// Returns the Lease once its holder has not renewed it for its duration; fails when it renews.
async fn await_its_death(leases: &Api<Lease>, lease: &Lease) -> Result<Option<Lease>> {
    let deadline = Instant::now() + lasts(lease);
    let mut versions = std::pin::pin!(watcher::watch_object(leases.clone(), LEASE).default_backoff());
    loop {
        match timeout_at(deadline, versions.next()).await {
            Err(_) | Ok(None) => return Ok(Some(lease.clone())),
            // Without permission to watch, it polls; the watch is retried with a delay.
            Ok(Some(Err(_))) => match if_there("cannot read the run lock", leases.get(LEASE)).await? {
                None => return Ok(None),
                Some(now) if holder_of(&now).is_none() => return Ok(Some(now)),
                Some(now) if now.resource_version() != lease.resource_version() => return Err(refused(&now)),
                Some(_) => {}
            },
            Ok(Some(Ok(None))) => return Ok(None),
            Ok(Some(Ok(Some(now)))) if holder_of(&now).is_none() => return Ok(Some(now)),
            Ok(Some(Ok(Some(now)))) if now.resource_version() != lease.resource_version() => {
                return Err(refused(&now));
            }
            Ok(Some(_)) => {}
        }
    }
}

fn refused(lease: &Lease) -> Failure {
    Failure::new(FailureKind::Locked, "another run holds the lock of this cluster")
        .because(format!("{} and is still running: it renews its Lease", holding(lease)))
        .hint(
            "wait for it to finish, or stop it there with Ctrl-C; the lock of a crashed run is taken over automatically",
        )
        .hint("or take the lock with --break-lock: the other run then stops writing")
}

/// Writes with the version that was read: if another run acquired it meanwhile, the server reports a
/// conflict.
async fn take(leases: &Api<Lease>, found: Option<Lease>, holder: &Holder) -> Result<()> {
    let what = "cannot take the run lock";
    let parameters = PostParams::default();
    let taken = async {
        match found {
            Some(lease) => leases.replace(LEASE, &parameters, &held_by(holder, lease)).await,
            None => leases.create(&parameters, &held_by(holder, unheld())).await,
        }
    };
    within_limit(what, taken).await.map(drop)
}
