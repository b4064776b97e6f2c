//! What clap says: help, the version, and what is wrong with a command line.

use std::process::ExitCode;

use crate::output;
use crate::report;

/// Prints it, as all text leaves; 2 for a command line that is wrong.
pub(super) fn tell(said: &clap::Error) -> ExitCode {
    let rendered = said.render();
    if said.use_stderr() {
        // It repeats arguments, which may be anything: no colour of it is known to be clap's.
        output::err(&rendered.to_string());
        return ExitCode::from(u8::try_from(said.exit_code()).unwrap_or(2));
    }
    let help = if report::stdout_has_colour() {
        output::trusted(&rendered.ansi().to_string())
    } else {
        rendered.to_string()
    };
    match output::out(&help) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::err(&report::failure_text(&failure));
            ExitCode::from(failure.kind.exit_code())
        }
    }
}
