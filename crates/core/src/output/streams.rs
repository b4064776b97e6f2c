//! stdout and stderr. A closed pipe is not an error, since the reader decides when to stop; a full disk is
//! one, and the program then exits with a failure.

use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use super::harmless::{self, Kind};
use super::{JsonText, shown};
use crate::failure::{Failure, Result};
use crate::masking::masked;

/// Whether an output error occurred.
static LOST: AtomicBool = AtomicBool::new(false);

/// Text for a person or a script, to stdout.
pub fn out(text: &str) -> Result<()> {
    write_out(shown(text).as_bytes())
}

/// A value as JSON, to stdout: indented, or a line.
pub fn json(value: &impl Serialize, is_indented: bool) -> Result<()> {
    let written =
        if is_indented { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    let written =
        written.map_err(|error| Failure::internal("cannot encode the output as JSON").caused_by(&error))?;
    write_out(format!("{}\n", JsonText::of(&written).as_str()).as_bytes())
}

/// A user's file, to stdout: only dangerous characters are changed.
pub fn file(text: &str) -> Result<()> {
    write_out(harmless::text(&masked(text), Kind::File).as_bytes())
}

/// Unmasked output for another process of this program, to stdout. Never use it for anything that people or
/// logs see.
pub fn protocol(text: &str) -> Result<()> {
    write_out(text.as_bytes())
}

/// Text for a person, to stderr.
pub fn err(text: &str) {
    write_err(shown(text).as_bytes());
}

/// Whether output was lost, other than to a closed pipe.
pub fn write_failed() -> bool {
    LOST.load(Ordering::Relaxed)
}

fn write_out(bytes: &[u8]) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            LOST.store(true, Ordering::Relaxed);
            Err(Failure::step("cannot write to stdout").caused_by(&error))
        }
        _ => Ok(()),
    }
}

pub(super) fn write_err(bytes: &[u8]) {
    if let Err(error) = std::io::stderr().lock().write_all(bytes)
        && error.kind() != ErrorKind::BrokenPipe
    {
        LOST.store(true, Ordering::Relaxed);
    }
}
