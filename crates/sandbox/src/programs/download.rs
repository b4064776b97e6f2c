//! A download into a file, with its digest; a broken one is retried.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use sha2::{Digest as _, Sha256};

use super::progress::Meter;
use bootstrapper_core::digest::hex;
use bootstrapper_core::failure::{Failure, Result, Retry};
use bootstrapper_tools::Download;

/// How often a download is attempted.
const ATTEMPTS: usize = 3;

/// Why something was not downloaded.
#[derive(Debug)]
pub(super) enum Missed {
    /// It cannot be reached, or is not available: it can be built instead.
    Unavailable(Failure),
    /// It is not what it should be.
    Wrong(Failure),
}

impl From<Failure> for Missed {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(failure)
    }
}

/// A wrong download.
pub(super) fn wrong(failure: Failure) -> Missed {
    Missed::Wrong(failure.hint("to build the sandbox's programs instead, pass --from-source"))
}

/// A downloaded file.
pub(super) struct Downloaded {
    pub(super) path: PathBuf,
    /// Its SHA-256, in hexadecimal.
    pub(super) sha256: String,
}

/// Retries what may pass.
pub(super) async fn retried<T>(attempt: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let mut attempt = attempt;
    let policy =
        ExponentialBuilder::default().with_min_delay(Duration::from_secs(1)).with_max_times(ATTEMPTS - 1);
    let mut pauses = policy.with_jitter().build();
    loop {
        match attempt().await {
            Err(failure) if failure.retry == Retry::MayHelp => match pauses.next() {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(failure),
            },
            other => return other,
        }
    }
}

/// Writes what `open` opens into a file of at most `limit` bytes. Small files have no progress.
pub(super) async fn save(
    open: impl AsyncFnMut() -> Result<Download>,
    path: &Path,
    limit: u64,
    meter: Option<&Meter<'_>>,
) -> Result<Downloaded, Missed> {
    let mut open = open;
    let mut too_large = false;
    let sha256 = retried(async || {
        let mut download = open().await?;
        let mut received = 0;
        let saved = receive(&mut download, path, limit, &mut received, meter).await;
        if let Some(meter) = meter.filter(|_| saved.is_err()) {
            meter.lost(received);
        }
        too_large = received > limit;
        saved
    })
    .await
    .map_err(|failure| if too_large { wrong(failure) } else { Missed::Unavailable(failure) })?;
    Ok(Downloaded { path: path.to_owned(), sha256 })
}

async fn receive(
    download: &mut Download,
    path: &Path,
    limit: u64,
    received: &mut u64,
    meter: Option<&Meter<'_>>,
) -> Result<String> {
    let unwritten =
        |error: std::io::Error| Failure::step(format!("cannot write {}", path.display())).caused_by(&error);
    let mut file = File::create(path).map_err(unwritten)?;
    let mut hash = Sha256::new();
    while let Some(part) = download.next().await? {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        *received = received.saturating_add(length);
        if let Some(meter) = meter {
            meter.received(length);
        }
        if *received > limit {
            return Err(Failure::step("a download of the sandbox is too large")
                .because(format!("it has more than {} MiB", limit / 1024 / 1024)));
        }
        hash.update(&part);
        file.write_all(&part).map_err(unwritten)?;
    }
    Ok(hex(&hash.finalize()))
}
