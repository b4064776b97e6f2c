//! The sandbox's own program: the supervisor, the vault's `op`, and the two programs of Kubernetes' test image.
//! They are no commands of the product. `docs/design/sandbox.md` describes how it is found.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use super::programs::{NAME, OF_TEST_IMAGE, WGET};
use super::{agnhost, supervisor, vault};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::{masking, output, private};
use bootstrapper_tools::{fetch_page, guard_programs_with};

/// The stack size of each thread: YAML and JSON parsers recurse with the nesting of their input.
const STACK: usize = 8 * 1024 * 1024;

/// The grace period of tasks at exit.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// The internal programs of a sandbox
#[derive(Debug, Parser)]
#[command(name = NAME, version)]
enum Verb {
    /// Run a sandbox's supervisor in the foreground
    Serve {
        /// The sandbox's state folder
        state_dir: PathBuf,
    },
    /// Answer like 1Password's `op`, from a sandbox's vault
    Vault {
        /// The sandbox's state folder
        state_dir: PathBuf,
        /// The arguments of `op`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Echo over HTTP and UDP, like `agnhost netexec`
    Netexec {
        /// The HTTP port
        #[arg(long)]
        http_port: u16,
        /// The UDP port
        #[arg(long)]
        udp_port: u16,
    },
    /// Fetch a page over HTTP, like `wget`
    Wget {
        /// Accepted for compatibility: only errors are printed
        #[arg(short = 'q')]
        quiet: bool,
        /// The timeout, in seconds
        #[arg(short = 'T')]
        timeout: u64,
        /// Where the page goes: `-` is stdout, anything else discards it
        #[arg(short = 'O')]
        output: PathBuf,
        /// The page, as `http://address:port/path`
        url: String,
    },
}

/// Whether this process was started under a name of the sandbox's own program.
pub fn is_called_by_name() -> bool {
    let name = called();
    name == NAME || OF_TEST_IMAGE.contains(&name.as_str())
}

/// The name that this process was started under.
fn called() -> String {
    let first = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    first.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Runs the sandbox's own program.
pub fn main() -> ExitCode {
    private::restrict();
    output::report_panics();
    masking::mark_environment();
    let verb = match Verb::try_parse_from(arguments()) {
        Ok(verb) => verb,
        Err(error) if error.use_stderr() => {
            output::err(&error.render().to_string());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
        Err(help) => {
            let is_written = output::out(&help.render().to_string()).is_ok();
            return if is_written { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    };
    match run(verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let hints = failure.hints.iter().map(|hint| format!("hint: {hint}\n"));
            output::err(&format!("error: {failure}\n{}", hints.collect::<String>()));
            ExitCode::from(failure.kind.exit_code())
        }
    }
}

/// The arguments; under the name `wget`, with its subcommand.
fn arguments() -> Vec<OsString> {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    if called() == WGET {
        arguments.insert(1, WGET.into());
    }
    arguments
}

fn run(verb: Verb) -> Result<()> {
    let filter = EnvFilter::try_from_env("BOOTSTRAPPER_LOG").unwrap_or_else(|_| EnvFilter::new("off"));
    // The writer masks escape sequences.
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(output::log).init();
    let runtime =
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .thread_stack_size(STACK)
            .build()
            .map_err(|error| Failure::internal("cannot start the asynchronous runtime").caused_by(&error))?;
    // The product, which includes this program, guards programs; the standalone binary has no such command.
    if let Ok(this) = std::env::current_exe()
        && this.file_name() != Some(NAME.as_ref())
    {
        guard_programs_with(this);
    }
    let result = runtime.block_on(async {
        match verb {
            Verb::Serve { state_dir } => supervisor::serve(&state_dir).await,
            Verb::Vault { state_dir, arguments } => output::protocol(&vault::answer(&state_dir, &arguments)?),
            Verb::Netexec { http_port, udp_port } => agnhost::echo(http_port, udp_port).await,
            Verb::Wget { timeout, url, output, .. } => {
                let page = fetch_page(&url, Duration::from_secs(timeout)).await?;
                if output == Path::new("-") { output::protocol(&page) } else { Ok(()) }
            }
        }
    });
    runtime.shutdown_timeout(SHUTDOWN);
    private::remove_all();
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Verb::command().debug_assert();
    }

    #[test]
    fn arguments_of_op_are_passed_on_as_they_are() {
        let words = [NAME, "vault", "/sandbox", "read", "--no-newline", "op://infra/mesh/key"];
        let Verb::Vault { arguments, .. } = Verb::try_parse_from(words).unwrap() else { panic!() };
        assert_eq!(arguments, words[3..]);
    }
}
