//! Data for scripts goes to stdout, messages to stderr; both through `output`.

use serde::Serialize;

use bootstrapper_core::failure::Result;
use bootstrapper_core::output;

/// Prints text.
pub(super) fn text(text: &str) -> Result<()> {
    output::out(text)
}

/// Prints a user's file: only dangerous characters are changed.
pub(super) fn file(text: &str) -> Result<()> {
    output::file(text)
}

/// Prints the response to a calling program, unmasked.
pub(super) fn protocol(text: &str) -> Result<()> {
    output::protocol(text)
}

/// Prints a value as indented JSON.
pub(super) fn json(value: &impl Serialize) -> Result<()> {
    output::json(value, true)
}

/// Prints a prompt at the terminal, without a line break.
pub(super) fn ask(question: &str) {
    output::err(question);
}

/// Prints a message to the terminal.
pub(super) fn say(line: &str) {
    output::err(&format!("{line}\n"));
}
