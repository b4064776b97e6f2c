//! Cancellation: the first Ctrl-C (SIGTERM, or SIGHUP when the terminal closes) lets in-flight operations
//! finish, the second aborts. A command without in-flight operations exits at the first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use bootstrapper_core::failure::{Failure, FailureKind};
use bootstrapper_core::private;

/// The number of listening [`Cancel`]s. While there is one, signals do not exit the program.
static LISTENING: AtomicUsize = AtomicUsize::new(0);

/// How long the program may be busy, or read from the terminal, before it is forced to exit.
const EXIT_AFTER: Duration = Duration::from_secs(1);

/// Listens for signals that interrupt a run.
pub(super) struct Cancel {
    requested: CancellationToken,
    aborted: CancellationToken,
}

impl Cancel {
    /// Starts listening.
    pub(super) fn on_signals() -> Self {
        LISTENING.fetch_add(1, Ordering::SeqCst);
        let cancel = Self { requested: CancellationToken::new(), aborted: CancellationToken::new() };
        let tokens = [cancel.requested.clone(), cancel.aborted.clone()];
        let mut received = signals();
        tokio::spawn(async move {
            for token in tokens {
                any(&mut received).await;
                token.cancel();
            }
        });
        cancel
    }

    /// Cancelled at the first signal.
    pub(super) fn requested(&self) -> CancellationToken {
        self.requested.clone()
    }

    /// Returns at the second signal.
    pub(super) async fn aborted(&self) -> Failure {
        self.aborted.cancelled().await;
        Failure::new(FailureKind::Cancelled, "aborted").because(
            "in-flight operations may be incomplete; the next run on this machine takes over the lock at once, a run elsewhere once it has expired",
        )
    }
}

impl Drop for Cancel {
    fn drop(&mut self) {
        LISTENING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A signal to exit, while no [`Cancel`] listens.
pub(super) struct Stop {
    requested: CancellationToken,
    is_noticed: Arc<AtomicBool>,
}

/// Exits the program at a signal that no [`Cancel`] handles, after deleting its temporary files.
pub(super) fn stop_on_signals() -> Stop {
    let stop = Stop { requested: CancellationToken::new(), is_noticed: Arc::default() };
    let (requested, is_noticed) = (stop.requested.clone(), Arc::clone(&stop.is_noticed));
    let mut received = signals();
    tokio::spawn(async move {
        loop {
            any(&mut received).await;
            if LISTENING.load(Ordering::SeqCst) == 0 {
                break;
            }
        }
        requested.cancel();
        tokio::time::sleep(EXIT_AFTER).await;
        if !is_noticed.load(Ordering::SeqCst) {
            private::remove_all();
            #[expect(clippy::exit, reason = "the main thread may wait for a terminal, and for ever")]
            std::process::exit(FailureKind::Cancelled.exit_code().into());
        }
    });
    stop
}

impl Stop {
    /// Returns at the signal.
    pub(super) async fn wait(&self) {
        self.requested.cancelled().await;
        self.is_noticed.store(true, Ordering::SeqCst);
    }
}

fn signals() -> [Option<Signal>; 3] {
    [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()]
        .map(|kind| (kind != SignalKind::hangup() || !ignores_hangup()).then(|| signal(kind).ok()).flatten())
}

/// Returns at the first of the signals.
async fn any(signals: &mut [Option<Signal>]) {
    let received = signals.iter_mut().flatten().map(Signal::recv);
    // No signal can be received (any more): the program is never interrupted.
    let never = std::future::pending().boxed();
    let received = received.map(FutureExt::boxed).chain([never]);
    if let (None, ..) = futures::future::select_all(received).await {
        std::future::pending::<()>().await;
    }
}

/// Whether the parent wants it to outlive the terminal (`nohup`).
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    // Signal 1 is the lowest bit.
    mask & 1 == 1
}
