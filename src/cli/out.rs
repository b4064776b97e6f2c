//! Data for scripts goes to stdout; a reader that has gone away is no error.

use std::io::Write as _;

use serde::Serialize;

use crate::failure::{Failure, Result};

/// Prints text.
pub(super) fn text(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::step("stdout cannot be written").caused_by(&error))
        }
        _ => Ok(()),
    }
}

/// Prints a value as indented JSON.
pub(super) fn json(value: &impl Serialize) -> Result<()> {
    let pretty = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::internal("the answer cannot be written as JSON").caused_by(&error))?;
    text(&format!("{pretty}\n"))
}

/// Asks the person at the terminal; the answer is typed behind it.
pub(super) fn ask(question: &str) {
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "{question}").and_then(|()| stderr.flush());
}

/// Says something to the person at the terminal.
pub(super) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
