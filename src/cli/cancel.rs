//! Cancel is a feature: the first Ctrl-C (or SIGTERM) lets what is in flight come to a safe point,
//! the second stops now.

use tokio::signal::unix::{SignalKind, signal};
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
        let (requested, insisted) = (cancel.requested.clone(), cancel.insisted.clone());
        tokio::spawn(async move {
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            for token in [requested, insisted] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
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
        Failure::new(FailureKind::Cancelled, "stopped at once, on request")
            .because("what was in flight may be half done, and the run's lock expires by itself")
    }
}
