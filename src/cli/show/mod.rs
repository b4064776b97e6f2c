//! Output that is not an event: findings, forecasts, earlier runs.

mod adoption;
mod findings;
mod history;

pub(crate) use adoption::{adopted_text, forecast_text};
pub(crate) use findings::findings_text;
pub(crate) use history::history_text;
