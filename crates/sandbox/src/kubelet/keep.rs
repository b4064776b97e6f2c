//! Keeps the process of a container running like a kubelet: starts it, probes it, and restarts it after a
//! back-off.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::health::Health;
use super::status::ProcessState;
use crate::process::ProcessSpec;
use bootstrapper_core::failure::Result;

/// The period of probes.
const ASK_EVERY: Duration = Duration::from_millis(150);
const ASK_AGAIN_EVERY: Duration = Duration::from_secs(2);
/// How often an unhealthy process is reported: as often as a kubelet probes.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// The failure threshold.
const FAILURES: u32 = 3;
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A container whose process can be started.
pub(crate) struct Prepared {
    pub spec: ProcessSpec,
    /// How it reports its health; without, it is healthy while it runs.
    pub health: Option<Health>,
}

/// A container of a pod.
#[async_trait]
pub(crate) trait Container: Send + Sync {
    /// Prepares everything that its process needs.
    async fn prepare(&self) -> Result<Prepared>;
    /// Reports its state.
    async fn report_state(&self, process_state: ProcessState, restarts: u32);
    /// Reports that its probe fails, and why.
    async fn unhealthy(&self, why: &str);
}

/// Keeps it running until cancelled; by then its process has exited.
pub(crate) async fn keep(container: &dyn Container, cancel: &CancellationToken) {
    let mut pause = SHORTEST_PAUSE;
    let mut restarts = 0;
    loop {
        let process_state = tokio::select! {
            process_state = once(container, restarts, cancel) => process_state,
            () = cancel.cancelled() => None,
        };
        let Some(process_state) = process_state else { break };
        container.report_state(process_state, restarts).await;
        restarts += 1;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = cancel.cancelled() => break,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Runs the process until it exits; returns its state. None if cancelled.
async fn once(container: &dyn Container, restarts: u32, cancel: &CancellationToken) -> Option<ProcessState> {
    let started = match container.prepare().await {
        Ok(prepared) => prepared.spec.start().map(|process| (prepared, process)),
        Err(failure) => Err(failure),
    };
    let (prepared, mut process) = match started {
        Ok(started) => started,
        Err(failure) => return Some(ProcessState::Unprepared { why: failure.to_string() }),
    };
    tracing::info!(container = process.name(), id = process.id(), "started");
    let (since, id) = (Timestamp::now(), process.id());
    container.report_state(ProcessState::Started { since }, restarts).await;
    let status = tokio::select! {
        status = process.wait() => status,
        never = watch_health(container, &prepared, id, restarts, since) => match never {},
        () = cancel.cancelled() => {
            process.stop().await;
            return None;
        }
    };
    let exit_code = status.ok().and_then(|status| status.code()).unwrap_or(137);
    Some(ProcessState::CrashLoop { exit_code })
}

/// Reports changes of the process's health; never returns.
async fn watch_health(
    container: &dyn Container,
    prepared: &Prepared,
    process: Option<u32>,
    restarts: u32,
    since: Timestamp,
) -> std::convert::Infallible {
    let (mut is_ready, mut failures) = (false, 0);
    let mut told_at = Instant::now();
    loop {
        let answer = match &prepared.health {
            Some(health) => health.probe(process).await,
            None => Ok(()),
        };
        let was_ready = is_ready;
        match answer {
            Ok(()) => (is_ready, failures) = (true, 0),
            Err(why) => {
                failures += 1;
                is_ready &= failures < FAILURES;
                if was_ready || told_at.elapsed() >= TELL_EVERY {
                    container.unhealthy(&why).await;
                    told_at = Instant::now();
                }
            }
        }
        if is_ready != was_ready {
            let process_state =
                if is_ready { ProcessState::Ready { since } } else { ProcessState::Started { since } };
            container.report_state(process_state, restarts).await;
        }
        tokio::time::sleep(if is_ready { ASK_AGAIN_EVERY } else { ASK_EVERY }).await;
    }
}
