//! Up and down. A supervisor process owns a sandbox; these functions start it, find it, and clean up after a
//! crashed one.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::options::SandboxOptions;
use super::process::signal;
use super::programs::{FoundPrograms, ProgramSources};
use super::state::{Folder, OPTIONS_FILE, PROGRAMS_FILE, READY, SANDBOX_FILE, Sandbox, private_file, remove};
use super::vault::Vault;
use super::{network, programs as found, upstream};
use bootstrapper_core::failure::{Failure, Result, Retry};

/// How long a supervisor may take to stop everything before it is killed.
const GRACE: Duration = Duration::from_secs(20);

/// Creates a sandbox, or finds it running. Reports downloads and builds of programs, which take minutes, to `say`, and what it
/// starts, which takes seconds, to `starts`.
pub async fn up(
    options: &SandboxOptions,
    say: &(dyn Fn(&str) + Send + Sync),
    starts: &(dyn Fn(&str) + Send + Sync),
) -> Result<Sandbox> {
    let folder = Folder::of(&options.name)?;
    if folder.is_running() && folder.path(SANDBOX_FILE).exists() {
        upstream::refresh(&folder, &options.source).await?;
        return folder.read(SANDBOX_FILE);
    }
    clean_up(&folder).await?;
    let from = ProgramSources { binaries: options.binaries.as_deref(), from_source: options.from_source };
    let programs = found::find(sets(options.router.is_some()), from, say).await?;
    folder.make()?;
    found::install_own(&folder)?;
    Vault::found(&folder)?;
    folder.write(OPTIONS_FILE, options)?;
    folder.write(PROGRAMS_FILE, &programs.with_test_image(&folder))?;
    start_supervisor(&folder, starts).await?;
    folder.read(SANDBOX_FILE)
}

/// Updates the sources of a running sandbox to the current content of the repository.
pub async fn refresh(options: &SandboxOptions) -> Result<()> {
    let folder = Folder::of(&options.name)?;
    upstream::refresh(&folder, &options.source).await
}

/// Finds, downloads or builds the programs of sandboxes.
pub async fn programs(
    from: ProgramSources<'_>,
    is_network_real: bool,
    say: &(dyn Fn(&str) + Send + Sync),
) -> Result<FoundPrograms> {
    FoundPrograms::of(&found::find(sets(is_network_real), from, say).await?)
}

fn sets(is_network_real: bool) -> &'static [&'static found::Set] {
    const ALL: &[&found::Set] = &[&found::EVERY_SANDBOX, &found::FLUX_OPERATOR, &found::REAL_NETWORK];
    if is_network_real { ALL } else { &ALL[..2] }
}

/// Deletes a sandbox, with all processes and files.
pub async fn down(name: &str) -> Result<()> {
    let folder = Folder::of(name)?;
    if !folder.0.exists() {
        return Err(Failure::input(format!("sandbox `{name}` not found"))
            .hint("`bootstrapper sandbox list` lists all sandboxes"));
    }
    clean_up(&folder).await
}

/// Cleans up sandboxes whose supervisors have crashed, wherever their state folders are or were; returns those
/// folders.
pub async fn collect() -> Result<Vec<PathBuf>> {
    network::collect().await
}

async fn start_supervisor(folder: &Folder, say: &(dyn Fn(&str) + Send + Sync)) -> Result<()> {
    let failed =
        |error: std::io::Error| Failure::step("cannot start the sandbox's supervisor").caused_by(&error);
    let log =
        private_file().create(true).truncate(true).open(folder.path("supervisor.log")).map_err(failed)?;
    let mut command = Command::new(found::own(folder));
    command.arg("serve").arg(&folder.0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    // Its own process group, so that Ctrl-C at this terminal does not reach it.
    command.process_group(0);
    let mut child = tokio::process::Command::from(command).spawn().map_err(failed)?;
    let lines = child.stdout.take().ok_or_else(|| Failure::internal("the supervisor has no stderr"))?;
    let mut lines = BufReader::new(lines).lines();
    while let Some(line) = lines.next_line().await.map_err(failed)? {
        if line == READY {
            return Ok(());
        }
        say(&line);
    }
    let log = std::fs::read_to_string(folder.path("supervisor.log")).unwrap_or_default();
    let mut failure = Failure::step("the sandbox did not start");
    for line in log.lines().filter(|line| !line.trim().is_empty()).take(8) {
        failure = failure.because(line.trim());
    }
    Err(failure.hint(format!("see the logs of its programs in {}", folder.path("logs").display())))
}

/// Stops everything of a sandbox: the supervisor gracefully, then by force; then what a killed supervisor left
/// behind.
async fn clean_up(folder: &Folder) -> Result<()> {
    if folder.is_running() {
        let supervisor: i32 = folder.read("supervisor.pid")?;
        signal(supervisor, Signal::TERM);
        let lock = folder
            .lock_file()
            .map_err(|error| Failure::step("the supervisor's lock file is missing").caused_by(&error))?;
        let ended = tokio::task::spawn_blocking(move || lock.lock());
        if tokio::time::timeout(GRACE, ended).await.is_err() {
            signal(supervisor, Signal::KILL);
        }
    }
    network::end(&folder.0).await?;
    // Processes that were just killed may still write into the folder.
    let remove_all = || async { remove(&folder.0) };
    backon::Retryable::retry(
        remove_all,
        backon::ConstantBuilder::default().with_delay(Duration::from_millis(100)).with_max_times(20),
    )
    .await
    .map_err(|failure| failure.retry(Retry::Useless))
}
