//! The sandbox's own program as a standalone binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    bootstrapper_sandbox::main()
}
