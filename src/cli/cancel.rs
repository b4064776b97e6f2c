//! Cancel is a feature: the first Ctrl-C (SIGTERM, or SIGHUP of a terminal that goes away) lets what is
//! in flight come to a safe point, the second stops now. A verb with nothing to bring to a safe point
//! stops at the first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use bootstrapper_core::failure::{Failure, FailureKind};
use bootstrapper_core::private;

/// How many [`Cancel`]s listen. As long as there is one, nothing else stops.
static LISTENING: AtomicUsize = AtomicUsize::new(0);

/// How long the program may be busy, or read an answer from the terminal, before it is ended.
const EXIT_AFTER: Duration = Duration::from_secs(1);

/// Listens for the signals that ask a run to stop.
pub(super) struct Cancel {
    requested: CancellationToken,
    aborted: CancellationToken,
}

impl Cancel {
    /// Starts to listen.
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

    /// Ends at the second signal.
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

/// A signal to stop, for as long as no [`Cancel`] listens.
pub(super) struct Stop {
    requested: CancellationToken,
    is_noticed: Arc<AtomicBool>,
}

/// Stops the program at a signal that no [`Cancel`] listens for: what it has made for itself is to be
/// removed before it ends.
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
    /// Ends at the signal.
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
    // None that can be listened to, or none that will ever come again: nobody asks to stop.
    let never = std::future::pending().boxed();
    let received = received.map(FutureExt::boxed).chain([never]);
    if let (None, ..) = futures::future::select_all(received).await {
        std::future::pending::<()>().await;
    }
}

/// Whether whoever started this wants it to outlive the terminal (`nohup`).
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    // Signal 1 is the lowest bit.
    mask & 1 == 1
}
