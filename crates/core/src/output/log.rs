//! The log (`BOOTSTRAPPER_LOG`): masks one event at a time.

use std::io;

use super::{shown, streams};

/// Writes the log to stderr.
pub fn log() -> Log {
    Log
}

/// The writer of the log. It never fails: a log that cannot be written must not end a run.
pub struct Log;

impl io::Write for Log {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        streams::write_err(shown(&String::from_utf8_lossy(event)).as_bytes());
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
