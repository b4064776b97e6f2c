//! Parses the command line, runs it, exits.

use std::process::ExitCode;

fn main() -> ExitCode {
    bootstrapper::cli::main()
}
