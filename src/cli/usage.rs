//! clap's output: help, the version, and errors in the command line.

use std::borrow::Cow;
use std::ffi::OsString;
use std::process::ExitCode;

use bootstrapper_core::output;
use bootstrapper_report as report;

/// Prints it, masked; returns 2 for an invalid command line.
pub(super) fn print(said: &clap::Error) -> ExitCode {
    let rendered = said.render();
    if said.use_stderr() {
        // It quotes arguments, which may contain anything, so its colours cannot be trusted.
        output::err(&on_one_line_each(rendered.to_string(), std::env::args_os()));
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

/// clap's message with line breaks in arguments escaped: a line that an argument begins would look like this
/// program's.
fn on_one_line_each(said: String, arguments: impl Iterator<Item = OsString>) -> String {
    arguments.fold(said, |said, argument| {
        let argument = argument.to_string_lossy().into_owned();
        // clap quotes an option without its value.
        let name = argument.split('=').next().unwrap_or_default();
        [argument.as_str(), name].into_iter().fold(said, |said, repeated| match output::one_line(repeated) {
            Cow::Owned(shown) => said.replace(repeated, &shown),
            Cow::Borrowed(_) => said,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_begins_no_line() {
        let arguments = ["b", "--\n::set-output name=a::b"].map(OsString::from);
        let said = "error: unexpected argument '--\n::set-output name' found\n\nUsage: b".to_owned();
        let shown = "error: unexpected argument '--\\n::set-output name' found\n\nUsage: b";
        assert_eq!(on_one_line_each(said, arguments.into_iter()), shown);
    }
}
