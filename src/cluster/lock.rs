//! One run per cluster: a Lease that is held and renewed.
//!
//! Whether a holder lives is told by watching it renew, never by comparing clocks: those of two
//! machines need not agree.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::runtime::watcher;
use kube::{Api, ResourceExt as _};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::calls::{if_there, within_limit};
use super::{Cluster, HOME};
use crate::failure::{Failure, FailureKind, Result};
use crate::tools::host;

const LEASE: &str = "bootstrapper-lock";
const RENEW_EVERY: Duration = Duration::from_secs(5);
const LASTS: Duration = Duration::from_secs(15);

/// The right to write, until it is released or lost.
#[derive(Debug)]
pub struct Lock {
    leases: Api<Lease>,
    holder: String,
    is_held: Arc<AtomicBool>,
    renewal: JoinHandle<()>,
}

impl Cluster {
    /// Takes the cluster's lock for the run called `run`. A holder that has died is taken over.
    pub async fn lock(&self, run: &str) -> Result<Lock> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), HOME);
        let holder = format!("{}/{}/{run}", host(), std::process::id());
        let found = if_there("the run lock cannot be read", leases.get_opt(LEASE)).await?.flatten();
        if let Some(lease) = found.as_ref().filter(|lease| !holder_of(lease).is_empty())
            && !has_died_here(&holder_of(lease))
        {
            await_its_death(&leases, lease).await?;
        }
        take(&leases, found, &holder).await?;
        let is_held = Arc::new(AtomicBool::new(true));
        let renewal = tokio::spawn(renew(leases.clone(), holder.clone(), Arc::clone(&is_held)));
        Ok(Lock { leases, holder, is_held, renewal })
    }
}

impl Lock {
    /// Whether it is still held.
    pub fn is_held(&self) -> bool {
        self.is_held.load(Ordering::Acquire)
    }

    /// Gives it back.
    pub async fn release(&self) -> Result<()> {
        self.renewal.abort();
        if !self.is_held.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let what = "the run lock cannot be given back";
        let Some(mut lease) = if_there(what, self.leases.get(LEASE)).await? else { return Ok(()) };
        if holder_of(&lease) != self.holder {
            return Ok(());
        }
        lease.spec.get_or_insert_default().holder_identity = None;
        within_limit(what, self.leases.replace(LEASE, &PostParams::default(), &lease)).await.map(drop)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

fn holder_of(lease: &Lease) -> String {
    lease.spec.as_ref().and_then(|spec| spec.holder_identity.clone()).unwrap_or_default()
}

/// A run of this machine whose process is gone.
fn has_died_here(holder: &str) -> bool {
    let mut parts = holder.split('/');
    let (Some(of_host), Some(process)) = (parts.next(), parts.next()) else { return false };
    of_host == host() && !std::path::Path::new("/proc").join(process).exists()
}

/// Returns once the holder has not renewed for as long as its lease lasts; fails when it renews.
async fn await_its_death(leases: &Api<Lease>, lease: &Lease) -> Result<()> {
    let deadline = Instant::now() + LASTS;
    let mut versions = std::pin::pin!(watcher::watch_object(leases.clone(), LEASE));
    loop {
        match timeout_at(deadline, versions.next()).await {
            Err(_) => return Ok(()),
            Ok(Some(Ok(Some(now)))) if holder_of(&now).is_empty() => return Ok(()),
            Ok(Some(Ok(Some(now)))) if now.resource_version() != lease.resource_version() => {
                return Err(held_by(&now));
            }
            Ok(Some(Ok(None)) | None) => return Ok(()),
            Ok(Some(_)) => {}
        }
    }
}

fn held_by(lease: &Lease) -> Failure {
    let holder = holder_of(lease);
    let mut parts = holder.split('/');
    let (of_host, process, run) =
        (parts.next().unwrap_or("?"), parts.next().unwrap_or("?"), parts.next().unwrap_or("?"));
    Failure::new(FailureKind::Locked, "another run holds this cluster")
        .because(format!("host `{of_host}`, process {process}, since {run}, and it is alive"))
        .hint(
            "wait for it to end, or stop it with Ctrl-C there; a run that was killed is taken over by itself",
        )
}

async fn take(leases: &Api<Lease>, found: Option<Lease>, holder: &str) -> Result<()> {
    let now = MicroTime(jiff::Timestamp::now());
    let fresh = found.is_none();
    let mut lease = found.unwrap_or_else(|| Lease {
        metadata: ObjectMeta {
            name: Some(LEASE.to_owned()),
            namespace: Some(HOME.to_owned()),
            ..ObjectMeta::default()
        },
        ..Lease::default()
    });
    let taken_over =
        lease.spec.as_ref().and_then(|spec| spec.lease_transitions).map_or(0, |before| before + 1);
    // The version that was read goes along: if somebody else took it meanwhile, the server says so.
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(holder.to_owned()),
        lease_duration_seconds: i32::try_from(LASTS.as_secs()).ok(),
        acquire_time: Some(now.clone()),
        renew_time: Some(now),
        lease_transitions: Some(taken_over),
        ..LeaseSpec::default()
    });
    let what = "the run lock cannot be taken";
    let parameters = PostParams::default();
    let taken = async {
        if fresh {
            leases.create(&parameters, &lease).await
        } else {
            leases.replace(LEASE, &parameters, &lease).await
        }
    };
    within_limit(what, taken).await.map(drop)
}

/// Renews until it cannot: by then another run may think this one dead, so that it must not write.
async fn renew(leases: Api<Lease>, holder: String, is_held: Arc<AtomicBool>) {
    let mut renewed = Instant::now();
    let mut every = tokio::time::interval(RENEW_EVERY);
    loop {
        every.tick().await;
        match renew_once(&leases, &holder).await {
            Ok(true) => renewed = Instant::now(),
            Ok(false) => break,
            Err(_) if renewed.elapsed() + RENEW_EVERY < LASTS => {}
            Err(_) => break,
        }
    }
    is_held.store(false, Ordering::Release);
}

/// Whether it is still ours.
async fn renew_once(leases: &Api<Lease>, holder: &str) -> Result<bool> {
    let what = "the run lock cannot be renewed";
    let mut lease = within_limit(what, leases.get(LEASE)).await?;
    if holder_of(&lease) != holder {
        return Ok(false);
    }
    lease.spec.get_or_insert_default().renew_time = Some(MicroTime(jiff::Timestamp::now()));
    within_limit(what, leases.replace(LEASE, &PostParams::default(), &lease)).await.map(|_| true)
}
