//! The life of one pod that is a process.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::Site;
use super::container::{Prepared, prepare};
use super::status::{Life, let_go, tell};
use crate::object::Object;

/// How often a process is asked for its health, as a kubelet would.
const ASK_EVERY: Duration = Duration::from_millis(150);
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Runs a pod until it is cancelled.
pub(super) async fn live(
    site: Arc<Site>,
    pod: Arc<Object>,
    program: &'static str,
    cancel: CancellationToken,
) {
    let mut pause = SHORTEST_PAUSE;
    let mut restarts = 0;
    loop {
        let life = tokio::select! {
            life = once(&site, &pod, program, restarts, &cancel) => life,
            () = cancel.cancelled() => None,
        };
        let Some(life) = life else { break };
        tell(&site, &pod, &life, restarts).await;
        restarts += 1;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = cancel.cancelled() => break,
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    let_go(&site, &pod).await;
}

/// Runs the process to its end; how that was. None if it was cancelled.
async fn once(
    site: &Site,
    pod: &Object,
    program: &str,
    restarts: u32,
    cancel: &CancellationToken,
) -> Option<Life> {
    let started = match prepare(site, pod, program).await {
        Ok(prepared) => prepared.spec.start().map(|process| (prepared, process)),
        Err(failure) => Err(failure),
    };
    let (prepared, mut process) = match started {
        Ok(started) => started,
        Err(failure) => return Some(Life::Unprepared { why: failure.to_string() }),
    };
    tracing::info!(pod = process.name(), container = prepared.container, id = process.id(), "started");
    tell(site, pod, &Life::Started, restarts).await;
    let status = tokio::select! {
        status = process.wait() => status,
        never = become_ready(site, pod, &prepared, restarts) => match never {},
        () = cancel.cancelled() => {
            process.stop().await;
            return None;
        }
    };
    let exit_code = status.ok().and_then(|status| status.code()).unwrap_or(137);
    Some(Life::CrashLoop { exit_code })
}

/// Tells once the process says that it is well; never ends by itself.
async fn become_ready(
    site: &Site,
    pod: &Object,
    prepared: &Prepared,
    restarts: u32,
) -> std::convert::Infallible {
    let mut every = tokio::time::interval(ASK_EVERY);
    loop {
        every.tick().await;
        if is_well(&prepared.health).await {
            tell(site, pod, &Life::Ready, restarts).await;
            return std::future::pending().await;
        }
    }
}

/// A health endpoint that answers 200.
async fn is_well(endpoint: &str) -> bool {
    let (address, path) = endpoint.split_at(endpoint.find('/').unwrap_or(endpoint.len()));
    let ask = async {
        let mut connection = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
        connection.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = tokio::time::timeout(Duration::from_secs(1), ask).await;
    answer.is_ok_and(|answer| answer.is_ok_and(|answer| answer.split_whitespace().nth(1) == Some("200")))
}
