//! Each event as one line of JSON, for programs.

use std::io::Write as _;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::engine::Event;

pub(super) async fn render(mut events: UnboundedReceiver<Event>) {
    while let Some(event) = events.recv().await {
        let Ok(line) = serde_json::to_string(&event) else { continue };
        // Whoever reads may have gone away: that does not stop a bootstrap.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }
}
