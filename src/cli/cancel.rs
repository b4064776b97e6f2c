//! Cancel is a feature: the first Ctrl-C (SIGTERM, or SIGHUP of a terminal that goes away) lets what is
//! in flight come to a safe point, the second stops now.

use futures::FutureExt;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::{Failure, FailureKind};

/// Listens for the signals that ask a run to stop.
pub(super) struct Cancel {
    requested: CancellationToken,
    insisted: CancellationToken,
}

impl Cancel {
    /// Starts to listen.
    pub(super) fn on_signals() -> Self {
        let cancel = Self { requested: CancellationToken::new(), insisted: CancellationToken::new() };
        let tokens = [cancel.requested.clone(), cancel.insisted.clone()];
        let mut heard =
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(|kind| {
                (kind != SignalKind::hangup() || !ignores_hangup()).then(|| signal(kind).ok()).flatten()
            });
        tokio::spawn(async move {
            for token in tokens {
                any(&mut heard).await;
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
    pub(super) async fn insisted(&self) -> Failure {
        self.insisted.cancelled().await;
        Failure::new(FailureKind::Cancelled, "stopped at once, on request").because(
            "what was in flight may be half done; the run's lock is taken over by the next run on this machine at once, and elsewhere once it has expired",
        )
    }
}

/// Returns at the first of the signals.
async fn any(signals: &mut [Option<Signal>]) {
    let heard = signals.iter_mut().flatten().map(Signal::recv);
    // None that can be listened to, or none that will ever come again: nobody asks to stop.
    let never = std::future::pending().boxed();
    let heard = heard.map(FutureExt::boxed).chain([never]);
    if let (None, ..) = futures::future::select_all(heard).await {
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
