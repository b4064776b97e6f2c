//! Each event as one line of JSON, for programs.

use tokio::sync::mpsc::UnboundedReceiver;

use bootstrapper_core::output;
use bootstrapper_engine::Event;

pub(super) async fn render(mut events: UnboundedReceiver<Event>) {
    while let Some(event) = events.recv().await {
        // A closed pipe or a full disk does not stop a bootstrap. The exit code reports the full disk.
        let _ = output::json(&event, false);
    }
}
