//! Events in; a live board, plain lines or JSON lines out, and the timeline of a run. Also the final texts of commands.

#![cfg_attr(not(test), deny(clippy::string_slice))]

mod board;
mod causes;
mod ci;
mod closing;
mod expected;
mod failure;
mod json;
mod live;
mod outline;
mod patience;
mod plain;
mod table;
#[cfg(test)]
mod tests;
pub mod timeline;
mod view;
mod waits;
mod words;

use std::io::IsTerminal as _;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

pub use causes::causes_text;
pub use closing::{Closing, Extent, Requests, closing_text};
pub use expected::{Expected, PastRun, PastStep, Total};
pub use failure::failure_text;
pub use outline::{Header, PlanLine, StatusLine, header_text, plan_text, status_text};
pub use table::table;
pub use words::{colour_of_stdout as stdout_has_colour, duration, indented};

use bootstrapper_core::output::Runner;
use bootstrapper_engine::Event;

/// How a run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Progress {
    /// [`Progress::Tty`] if stderr is a capable terminal, [`Progress::Ci`] for a known CI runner, otherwise
    /// [`Progress::Plain`].
    #[default]
    Auto,
    /// The whole plan, redrawn as it changes.
    Tty,
    /// Few lines, in groups where the CI runner folds them.
    Ci,
    /// One line per event.
    Plain,
    /// One JSON object per line, on stdout.
    Json,
    /// Only failures and the summary.
    Quiet,
}

impl Progress {
    /// What it is here: `Auto` depends on the terminal and the CI runner.
    fn here(self) -> Self {
        let is_dumb = || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        match self {
            Self::Auto if std::io::stderr().is_terminal() && !is_dumb() => Self::Tty,
            Self::Auto if Runner::here().is_some() => Self::Ci,
            Self::Auto => Self::Plain,
            other => other,
        }
    }

    /// Whether it shows a [`Forecast`].
    pub fn shows_forecast(self) -> bool {
        self.here() == Self::Tty
    }
}

/// How long a run and its steps are expected to take.
#[derive(Debug, Clone, Default)]
pub struct Forecast {
    /// Its steps.
    pub steps: Expected,
    /// All of it; none if that is unknown.
    pub total: Option<Duration>,
}

/// Shows events until their channel closes.
pub async fn render(events: UnboundedReceiver<Event>, progress: Progress, forecast: Forecast) {
    match progress.here() {
        Progress::Tty => live::render(events, forecast).await,
        Progress::Ci => ci::render(events, Runner::here()).await,
        Progress::Auto | Progress::Plain => plain::render(events, false).await,
        Progress::Quiet => plain::render(events, true).await,
        Progress::Json => json::render(events).await,
    }
}
