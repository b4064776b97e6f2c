//! Each event as one line of JSON, for programs.

use tokio::sync::mpsc::UnboundedReceiver;

use bootstrapper_core::output;
use bootstrapper_engine::Event;

pub(super) async fn render(mut events: UnboundedReceiver<Event>) {
    while let Some(event) = events.recv().await {
        // Whoever reads may have gone away, and a disk may be full: neither stops a bootstrap. The exit code
        // tells of the second.
        let _ = output::json(&event, false);
    }
}
