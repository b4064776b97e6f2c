//! The sandbox's own program, on its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    bootstrapper_sandbox::main()
}
