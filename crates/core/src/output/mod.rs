//! The one way out for text: to a terminal, a pipe, a file or a CI log. What leaves here has no marked
//! secret in it (`masking`), and nothing that a terminal or a CI system would obey.
//! `docs/design/masking.md` has the rules.

mod harmless;
mod json;
mod log;
mod paint;
mod panics;
mod streams;

pub use crate::words::one_line;
pub use json::{JsonText, masked_json};
pub use log::{Log, log};
pub use paint::{paint, trusted};
pub use panics::report_panics;
pub use streams::{err, file, json, out, protocol, was_lost};

use crate::masking;

/// A text as it may be shown: without secrets, and without what a terminal or a CI system would obey. Our
/// own colours stay.
pub fn shown(text: &str) -> String {
    let masked = masking::masked(text);
    harmless::text(&masked, harmless::Kind::Text).into_owned()
}
