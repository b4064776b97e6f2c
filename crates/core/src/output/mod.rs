//! All text output of the program: to a terminal, a pipe, a file or a CI log. Masks marked secrets
//! (`masking`), and neutralizes terminal escapes and CI commands. See `docs/design/masking.md` for the rules.

mod ci;
mod harmless;
mod json;
mod log;
mod paint;
mod panics;
mod streams;

pub use crate::words::one_line;
pub use ci::Runner;
pub use json::{JsonText, masked_json};
pub use log::{Log, log};
pub use paint::{paint, trusted};
pub use panics::report_panics;
pub use streams::{err, file, json, out, protocol, write_failed};

use crate::masking;

/// A text for display: without secrets, terminal escapes and CI commands. Our own colours stay.
pub fn shown(text: &str) -> String {
    let masked = masking::masked(text);
    harmless::text(&masked, harmless::Kind::Text).into_owned()
}
