//! Data for scripts goes to stdout, words for a person to stderr; both by the one way out (`output`).

use serde::Serialize;

use bootstrapper_core::failure::Result;
use bootstrapper_core::output;

/// Prints text.
pub(super) fn text(text: &str) -> Result<()> {
    output::out(text)
}

/// Prints what is a person's file: only what is dangerous in it is changed.
pub(super) fn file(text: &str) -> Result<()> {
    output::file(text)
}

/// Answers a program that called this one, as it expects it.
pub(super) fn protocol(text: &str) -> Result<()> {
    output::protocol(text)
}

/// Prints a value as indented JSON.
pub(super) fn json(value: &impl Serialize) -> Result<()> {
    output::json(value, true)
}

/// Asks the person at the terminal; the answer is typed behind it.
pub(super) fn ask(question: &str) {
    output::err(question);
}

/// Says something to the person at the terminal.
pub(super) fn say(line: &str) {
    output::err(&format!("{line}\n"));
}
